import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { backupsPrefix, manifestPath } from '#format/layout.ts';
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
  const authentic = catalog.backups.map(({ entry }) => entry).filter((entry) => entry.authentic === true);
  const newer = row && backupOfNewerLife(row.incarnation, authentic);
  if (newer === undefined) return undefined;
  const { id, startedAt, engine, incarnation } = newer;
  return (
    `another database of this cluster backs up into this repository: backup ${id} of ${startedAt} (${engine}) has incarnation ` +
    `${incarnation.number}, the database "${server.liveName}" at ${server.location} has ${row?.incarnation.number}`
  );
}

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
