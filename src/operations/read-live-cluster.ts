import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { readCluster, type ClusterRow } from '#store/cluster.ts';
import { importMarkerTable } from '#store/import-marker.ts';
import { askLive } from './ask-live.ts';
import type { Host } from './context.ts';
import { importPending } from './find-import.ts';

/**
 * The cluster row of the live database; `undefined` where there is no database, no schema or no cluster. Throws
 * `import-pending` where the rows are those of an export that nobody has checked.
 */
export async function readLiveCluster({ server }: Pick<Host, 'server'>): Promise<ClusterRow | undefined> {
  return await askLive(server, async (database) => {
    const tables = await database.tableNames();
    if (tables.includes(importMarkerTable)) throw await importPending(database, server);
    if (tables.includes('cluster')) return await readCluster(database.queries);
    if (tables.length === 0 || tables.includes('schema_migrations')) return undefined;
    throw new EnclaveManagerError(
      'configuration',
      `the database "${server.liveName}" at ${server.location} holds tables of something else: ${tables.slice(0, 5).join(', ')}`,
      {
        hint: 'Give Enclave Manager a database of its own in ENCLAVE_MANAGER_DATABASE_URL.',
      },
    );
  });
}
