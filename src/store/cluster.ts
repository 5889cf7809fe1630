import { sql } from 'kysely';
import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { plantedValue } from '#errors/planted-value.ts';
import { maxIncarnationNumber, type Incarnation } from '#model/backup.ts';
import type { ClusterId } from '#model/identifiers.ts';
import { tablesOf, type Queries } from './tables.ts';

/** Which cluster a database belongs to. `creating`: its keyring is not yet complete in database and repository. */
export interface ClusterRow {
  readonly clusterId: ClusterId;
  readonly state: 'creating' | 'ready';
  readonly incarnation: Incarnation;
  readonly createdAt: Date;
}

/**
 * `undefined` before a cluster is created. Whoever serves or backs up uses `readOwnCluster`; a restore must be able to look at
 * what it replaces, whatever somebody wrote there: a number beyond what can be read is the highest that can.
 */
export async function readCluster(queries: Queries): Promise<ClusterRow | undefined> {
  const row = await tablesOf(queries)
    .selectFrom('cluster')
    .select(['cluster_id', 'state', 'incarnation_random', 'created_at'])
    .select(sql<number>`LEAST(incarnation_number, ${sql.lit(Number.MAX_SAFE_INTEGER)})`.as('incarnation_number'))
    .executeTakeFirst();
  if (row === undefined) return undefined;
  return {
    clusterId: row.cluster_id,
    state: row.state,
    incarnation: { number: row.incarnation_number, random: row.incarnation_random },
    createdAt: row.created_at,
  };
}

/** The same, if it is a cluster that this program wrote. Throws `damaged` for an incarnation that somebody planted. */
export async function readOwnCluster(queries: Queries): Promise<ClusterRow | undefined> {
  const row = await readCluster(queries);
  if (row !== undefined) requirePlausible(row);
  return row;
}

/** What a backup would carry on is refused, and not only by who reads it. */
export function requirePlausible({ incarnation: { number } }: Pick<ClusterRow, 'incarnation'>): void {
  if (number >= 1 && number <= maxIncarnationNumber) return;
  throw plantedValue('cluster.incarnation_number', String(number));
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

/**
 * Begins a new life of the database; leases taken from now on carry it in their fencing tokens. Whose database it is, and that
 * its keys are whole, says the keyring, and not a row that came with a backup.
 */
export async function beginClusterLife(queries: Queries, life: Omit<ClusterRow, 'state'>): Promise<void> {
  const facts = {
    cluster_id: life.clusterId,
    state: 'ready' as const,
    incarnation_number: life.incarnation.number,
    incarnation_random: life.incarnation.random,
  };
  await tablesOf(queries)
    .insertInto('cluster')
    .values({ singleton: true, created_at: life.createdAt, ...facts })
    .onConflict((conflict) => conflict.column('singleton').doUpdateSet(facts))
    .execute();
}

function expectCluster(updatedRows: bigint): void {
  if (updatedRows === 1n) return;
  throw new EnclaveManagerError('not-found', 'the database holds no cluster', {
    hint: 'Create one with serve, or restore one with restore run latest.',
  });
}
