import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { beforePrefix, restoreOfName, stagingPrefix } from '#model/restore-names.ts';
import type { DatabaseServer } from '#ports/database.ts';
import type { Cluster, OperationContext } from './context.ts';
import { requireLease } from '#store/lease-rows.ts';
import { acquireLease } from '#store/leases.ts';
import { readRestore, updateRestore } from '#store/restores.ts';
import type { Queries } from '#store/tables.ts';
import { operationLease } from './context.ts';

/** A database that a restore left beside the live one. */
export interface LeftDatabase {
  readonly name: string;
  readonly restoreId: string;
  /** `before`: replaced by a restore or rollback, needed to undo it; `staging`: half built. */
  readonly role: 'staging' | 'before';
  readonly sizeBytes: number;
}

/** What `restore cleanup` would drop. */
export async function leftDatabases(server: DatabaseServer): Promise<LeftDatabase[]> {
  const names = [
    ...(await server.databaseNames(beforePrefix(server.liveName))),
    ...(await server.databaseNames(stagingPrefix(server.liveName))),
  ];
  const left: LeftDatabase[] = [];
  for (const name of names) {
    const restore = restoreOfName(server.liveName, name);
    if (restore !== undefined)
      left.push({ name, restoreId: restore.id, role: restore.role, sizeBytes: await server.databaseSizeBytes(name) });
  }
  return left;
}

/** Drops what restores left behind, under the lease, so that no restore is under way. Only the named ones, as they were shown. */
export async function cleanUpRestore(
  context: OperationContext,
  cluster: Cluster,
  shown: readonly LeftDatabase[],
): Promise<void> {
  const lease = await acquireLease(cluster.database, { ...operationLease, holder: context.holder }, context);
  try {
    context.crashPoints.reach('cleanup.lease-taken');
    for (const { name } of shown) {
      if (restoreOfName(cluster.server.liveName, name) === undefined)
        throw new EnclaveManagerError('usage', `"${name}" is not a database that a restore left`);
      context.signal.throwIfAborted();
      context.crashPoints.reach('cleanup.dropping');
      await lease.assertHeld();
      await cluster.server.dropDatabase(name);
      context.crashPoints.reach('cleanup.dropped');
    }
    const restoreIds = shown.map(({ restoreId }) => restoreId);
    await cluster.database.transaction(async (queries) => {
      await requireLease(queries, lease.token);
      await recordCleanup(context, queries, restoreIds);
    });
    context.crashPoints.reach('cleanup.recorded');
  } finally {
    await lease.release();
  }
}

async function recordCleanup(
  context: OperationContext,
  queries: Queries,
  restoreIds: readonly string[],
): Promise<void> {
  for (const restoreId of restoreIds) {
    if ((await readRestore(queries, restoreId)) === undefined) continue;
    await updateRestore(queries, restoreId, { cleanedUpAt: context.clock.now() });
  }
}
