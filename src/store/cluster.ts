import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import type { Incarnation } from '#model/backup.ts';
import type { ClusterId } from '#model/identifiers.ts';
import { tablesOf, type Queries } from './tables.ts';

/** Which cluster a database belongs to. `creating`: its keyring is not yet complete in database and repository. */
export interface ClusterRow {
  readonly clusterId: ClusterId;
  readonly state: 'creating' | 'ready';
  readonly incarnation: Incarnation;
  readonly createdAt: Date;
}

/** `undefined` before a cluster is created. */
export async function readCluster(queries: Queries): Promise<ClusterRow | undefined> {
  const row = await tablesOf(queries).selectFrom('cluster').selectAll().executeTakeFirst();
  if (row === undefined) return undefined;
  return {
    clusterId: row.cluster_id,
    state: row.state,
    incarnation: { number: row.incarnation_number, random: row.incarnation_random },
    createdAt: row.created_at,
  };
}

/** Fails where there is a cluster already. */
export async function insertCluster(queries: Queries, cluster: ClusterRow): Promise<void> {
  await tablesOf(queries)
    .insertInto('cluster')
    .values({
      singleton: true,
      cluster_id: cluster.clusterId,
      state: cluster.state,
      incarnation_number: cluster.incarnation.number,
      incarnation_random: cluster.incarnation.random,
      created_at: cluster.createdAt,
    })
    .execute();
}

export async function markClusterReady(queries: Queries): Promise<void> {
  const result = await tablesOf(queries).updateTable('cluster').set({ state: 'ready' }).executeTakeFirst();
  expectCluster(result.numUpdatedRows);
}

/** Begins a new life of the database; leases taken from now on carry it in their fencing tokens. */
export async function setIncarnation(queries: Queries, incarnation: Incarnation): Promise<void> {
  const result = await tablesOf(queries)
    .updateTable('cluster')
    .set({ incarnation_number: incarnation.number, incarnation_random: incarnation.random })
    .executeTakeFirst();
  expectCluster(result.numUpdatedRows);
}

function expectCluster(updatedRows: bigint): void {
  if (updatedRows === 1n) return;
  throw new EnclaveManagerError('not-found', 'the database holds no cluster', {
    hint: 'Create one with serve, or restore one with restore run latest.',
  });
}
