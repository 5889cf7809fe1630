import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { manifestTotals, type Manifest } from '#format/manifest.ts';
import type { BackupSummary } from '#model/backup.ts';
import { productVersion } from '#model/product.ts';
import { readOwnCluster } from '#store/cluster.ts';
import { loadMigrations } from '#store/migrations.ts';
import type { Cluster } from './context.ts';
import type { StreamedTables } from './stream-tables.ts';

type GivenFacts = Pick<BackupSummary, 'id' | 'kind' | 'sequence' | 'startedAt' | 'endedAt' | 'schemaVersion'> & {
  readonly warnings: readonly string[];
};

/** Everything that a restore needs to know, the keyring included, so that a damaged `keyring/` loses nothing. */
export async function composeManifest(
  cluster: Cluster,
  streamed: StreamedTables,
  given: GivenFacts,
): Promise<Manifest> {
  const { warnings, ...named } = given;
  const { keyring, database, server } = cluster;
  const row = await readOwnCluster(database.queries);
  if (row === undefined) {
    throw new EnclaveManagerError('unexpected', `database "${database.name}" lost its cluster row during the backup`);
  }
  const objects = [...streamed.objects.values()].toSorted((a, b) => (a.name < b.name ? -1 : 1));
  const summary: BackupSummary = {
    ...named,
    ...manifestTotals(streamed.tables, objects),
    clusterId: keyring.clusterId,
    engine: `${server.engine} ${server.version}`,
    productVersion,
    epochs: [keyring.currentEpoch.epoch],
    incarnation: row.incarnation,
  };
  const migrations = loadMigrations()
    .filter(({ version }) => version <= named.schemaVersion)
    .map(({ version, checksum }) => ({ version, checksum }));
  return { summary, objects, migrations, keyring: keyring.documents, tables: streamed.tables, warnings };
}
