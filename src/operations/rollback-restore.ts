import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import type { OpenedKeyring } from '#keys/keyring.ts';
import { keyringPath } from '#keys/keyring-paths.ts';
import { membersSchema } from '#keys/payloads.ts';
import type { Incarnation } from '#model/backup.ts';
import { beforeName, type RestoreId } from '#model/restore-names.ts';
import type { Database } from '#ports/database.ts';
import { forgetAbandonedHolders } from '#store/abandoned-holders.ts';
import { readAuditHead } from '#store/audit.ts';
import { readCluster } from '#store/cluster.ts';
import { commitBefore } from '#store/commit-deadline.ts';
import { importMarkerTable } from '#store/import-marker.ts';
import { isLifeSealed } from '#store/life-seal.ts';
import { migrate } from '#store/migrate.ts';
import { membershipsOfNodes } from '#store/nodes.ts';
import type { Queries } from '#store/tables.ts';
import { beginNewLife, nextIncarnation } from './begin-new-life.ts';
import type { Cluster, OperationContext } from './context.ts';
import { fence, swapDeadline, type Fence } from './fence.ts';
import { recordEnd, swapLive } from './finish-swap.ts';
import { inspectLive, type Live } from './inspect-live.ts';
import { nextRestoreId } from './next-restore-id.ts';
import { exchangedTables, findUndoable, type RollbackPlan, type Undoable } from './plan-rollback.ts';

export interface RollbackResult {
  readonly incarnation: Incarnation;
  /** What served until now, kept until `restore cleanup`; a second rollback puts it back. */
  readonly keptDatabase: string;
}

/** Puts the replaced database back in place. Throws `lease-held` where it is no longer what was shown. */
export async function rollbackRestore(
  context: OperationContext,
  cluster: Cluster,
  shown: RollbackPlan,
): Promise<RollbackResult> {
  const { server, keyring } = cluster;
  const live = await inspectLive(context, cluster, keyring);
  try {
    context.crashPoints.reach('rollback.lease-taken');
    const undone = await findShown(cluster, shown);
    const restoreId = await nextRestoreId(context, server);
    const keptDatabase = beforeName(server.liveName, restoreId);
    const fenced = await fence(context, live);
    let swapped = false;
    try {
      context.crashPoints.reach('rollback.fenced');
      const incarnation = await reviveBefore(context, cluster, { live, fenced }, undone, restoreId);
      context.crashPoints.reach('rollback.revived');
      const notAfter = await swapDeadline(live, fenced);
      context.signal.throwIfAborted();
      context.crashPoints.reach('rollback.swapping');
      await swapLive(context, server, {
        live: server.liveName,
        staging: undone.beforeDatabase,
        before: keptDatabase,
        expectedLive: live.identity,
        notAfter,
      });
      swapped = true;
      context.crashPoints.reach('rollback.swapped');
      await recordEnd(context, server, { restoreId, outcome: 'rolled-back' }).catch(() => {});
      return { incarnation, keptDatabase };
    } finally {
      if (swapped) fenced.leave();
      else await fenced.lift();
    }
  } finally {
    await live.release();
  }
}

/** A person may have thought about it for long: what is put back now must be what was shown. */
async function findShown(cluster: Cluster, shown: RollbackPlan): Promise<Undoable> {
  const undoable = await findUndoable(cluster);
  if (undoable.record.restoreId === shown.restoreId) return undoable;
  throw new EnclaveManagerError(
    'lease-held',
    `"${cluster.server.liveName}" was replaced again since the rollback of ${shown.restoreId} was shown; nothing was changed`,
    { hint: 'Run the command again to see what it would do now.' },
  );
}

interface Held {
  readonly live: Live;
  readonly fenced: Fence;
}

/** The replaced database has no lease that a transaction could depend on: what is written there counts while the live one's is ours. */
async function commitWhileHeld(queries: Queries, { live, fenced }: Held): Promise<void> {
  const deadline = await swapDeadline(live, fenced);
  if (deadline !== undefined) await commitBefore(queries, deadline);
}

/**
 * Rows that were put there by hand do not come to serve by being replaced and put back. The keys may have changed since they
 * were replaced.
 */
async function requireProvedLife(before: Database, keyring: OpenedKeyring): Promise<void> {
  await requireServable(before);
  if (await before.transaction((queries) => isLifeSealed(before, queries, keyring, keyring.epochs))) return;
  throw new EnclaveManagerError(
    'import-pending',
    `nothing proves that the replaced database "${before.name}" was this cluster's: its rows were copied or replayed by hand, or an earlier release replaced it; nothing was changed`,
    {
      hint: "To have it serve all the same, rename it to the live one's name by hand, and decide: enclave-manager database accept-import --cluster-key FINGERPRINT.",
    },
  );
}

/** A marker would keep the manager from serving what is put back, and without its row nobody knows the cluster. */
async function requireServable(before: Database): Promise<void> {
  const tables = await before.tableNames();
  const what = tables.includes(importMarkerTable)
    ? `holds an import that nobody has checked (table ${importMarkerTable})`
    : tables.includes('cluster') && (await readCluster(before.queries)) !== undefined
      ? undefined
      : 'has no cluster row';
  if (what === undefined) return;
  throw new EnclaveManagerError(
    'import-pending',
    `the replaced database "${before.name}" ${what}: it cannot serve as it is; nothing was changed`,
    {
      hint: 'Its rows are kept until restore cleanup. If you know what was changed in it, change it back in a database shell and run this again; otherwise read there what you need.',
    },
  );
}

/** The old rows begin a new life, as after a restore: nothing of their former one may count in it. */
async function reviveBefore(
  context: OperationContext,
  { server, keyring, database }: Cluster,
  { live, fenced }: Held,
  undone: Undoable,
  restoreId: RestoreId,
): Promise<Incarnation> {
  const before = server.open(undone.beforeDatabase, { connections: 2 });
  const beforeCommit = async (queries: Queries): Promise<void> => await commitWhileHeld(queries, { live, fenced });
  try {
    await swapDeadline(live, fenced);
    await requireProvedLife(before, keyring);
    await migrate(before, { beforeCommit });
    const rows: Record<string, number> = {};
    for (const table of exchangedTables()) rows[table] = await before.countRows(table);
    const clusters = [await readCluster(before.queries), await readCluster(database.queries)];
    const seen = clusters.flatMap((row) => (row ? [row.incarnation] : []));
    const incarnation = nextIncarnation(seen, context.randomness.bytes(8));
    const replacedAudit = await readAuditHead(database.queries);
    const record = {
      restoreId,
      backupId: undone.record.backupId,
      backupSequence: undone.record.backupSequence,
      state: 'rolled-back' as const,
      incarnation,
      begunBy: context.holder,
      begunAt: context.clock.now(),
      safetyBackupId: null,
      beforeDatabase: beforeName(server.liveName, restoreId),
      replacedIncarnation: live.held?.cluster.incarnation ?? null,
      replacedAudit,
      endedAt: null,
      cleanedUpAt: null,
    };
    const details = {
      restoreId,
      undone: undone.record.restoreId,
      incarnation: { ...incarnation },
      replacedAuditLog: { ...replacedAudit },
      rows,
    };
    const epochs = await epochsOfRows(before.queries, keyring);
    await before.transaction(async (queries) => {
      await forgetAbandonedHolders(queries);
      const life = { database: before, record, action: 'rolled back', details, epochs };
      await beginNewLife(context, queries, keyring, life);
      context.crashPoints.reach('rollback.written');
      await beforeCommit(queries);
      context.crashPoints.reach('rollback.committing');
    });
    return incarnation;
  } catch (error) {
    // A session that the server ended because this process stood still says nothing of the lease.
    await swapDeadline(live, fenced);
    throw error;
  } finally {
    await before.close();
  }
}

/** The one that was current by the membership that these rows are from: the newest authentic one that they name. */
async function epochsOfRows(queries: Queries, keyring: OpenedKeyring): Promise<number[]> {
  const documents = new Map(keyring.documents.map(({ path, bytes }) => [path, bytes]));
  for (const number of await membershipsOfNodes(queries)) {
    const document = documents.get(keyringPath({ type: 'members', number }));
    if (document !== undefined) return [membersSchema.parse(keyring.verify('members', document)).currentEpoch];
  }
  return [];
}
