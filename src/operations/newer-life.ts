import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { backupsPrefix, manifestPath } from '#format/layout.ts';
import type { CatalogEntry } from '#model/backup.ts';
import { backupOfNewerLife } from '#model/incarnation.ts';
import type { ObjectStore } from '#ports/object-store.ts';
import { readCluster } from '#store/cluster.ts';
import type { Cluster } from './context.ts';
import { listBounded } from './list-bounded.ts';
import { readCatalog, type Catalog } from './read-catalog.ts';

export const newerLifeHint =
  'Find out which database is the live one. If it is the other: stop this manager, or bring its data here: restore run latest. If it is this one: backup create --take-over, and the other is refused from then on.';

/** A sentence; `undefined` where no other database of this cluster backs up into this repository. */
export async function describeNewerLife(
  { database, server }: Pick<Cluster, 'database' | 'server'>,
  catalog: Catalog,
): Promise<string | undefined> {
  const row = await readCluster(database.queries);
  const newer = row && backupOfNewerLife(row.incarnation, livesBackedUp(catalog));
  if (newer === undefined) return undefined;
  const { id, startedAt, engine, incarnation } = newer;
  return (
    `another database of this cluster backs up into this repository: backup ${id} of ${startedAt} (${engine}) has incarnation ` +
    `${incarnation.number}, the database "${server.liveName}" at ${server.location} has ${row?.incarnation.number}`
  );
}

/** Whether a restore or an import began the life of this database and no backup of it is there yet: it may be a try. */
export async function isUnsavedLife({ database }: Pick<Cluster, 'database'>, catalog: Catalog): Promise<boolean> {
  const live = (await readCluster(database.queries))?.incarnation;
  const lives = livesBackedUp(catalog).map(({ incarnation }) => incarnation);
  return live !== undefined && live.number > 1 && !lives.some(({ random }) => random === live.random);
}

/** A safety backup says nothing: it is taken of what is about to be replaced, a try too. */
const livesBackedUp = ({ backups }: Catalog): CatalogEntry[] =>
  backups.map(({ entry }) => entry).filter(({ authentic, kind }) => authentic === true && kind !== 'safety');

/** Throws `superseded` where another database lives on with this cluster's data: `latest` would mean now one, now the other. */
export async function refuseOlderLife(cluster: Pick<Cluster, 'database' | 'server'>, catalog: Catalog): Promise<void> {
  const sentence = await describeNewerLife(cluster, catalog);
  if (sentence !== undefined) throw new EnclaveManagerError('superseded', sentence, { hint: newerLifeHint });
}

/** The same once more before a backup is listed: the other database has a lease of its own, and may have been faster. */
export async function refuseLifeListedSince(store: ObjectStore, cluster: Cluster, before: Catalog): Promise<void> {
  const seen = new Set(before.rejected.map(({ path }) => path));
  for (const { entry } of before.backups) seen.add(manifestPath(entry.id));
  for await (const { key } of listBounded(store, backupsPrefix)) {
    if (!seen.has(key)) return await refuseOlderLife(cluster, await readCatalog(store, cluster.keyring));
  }
}
