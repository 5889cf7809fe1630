import { toEnclaveManagerError } from '#errors/enclave-manager-error.ts';
import type { BackupId } from '#model/identifiers.ts';
import type { Database } from '#ports/database.ts';
import type { ScratchServers } from '#ports/scratch-server.ts';
import { acquireLease } from '#store/leases.ts';
import { recordRunBegin, recordRunEnd, type RunCause, type RunKind } from '#store/runs.ts';
import { operationLease, type Cluster, type OperationContext } from './context.ts';
import { drillBackup, type DrillResult } from './drill-backup.ts';
import { requireStore } from './require-store.ts';
import { verifyBackups, type VerificationResult } from './verify-backup.ts';

/** One at a time in the whole cluster: a drill, recorded in the history that schedules go by. */
export async function runDrill(
  context: OperationContext,
  cluster: Cluster,
  scratch: ScratchServers,
  id: BackupId,
  cause: RunCause,
): Promise<DrillResult> {
  const { keyring, database } = cluster;
  const repository = { store: requireStore(cluster.store), keyring, database };
  return await underOwnLease(context, cluster, { kind: 'drill', cause, backupId: id }, (held) =>
    drillBackup(held, repository, scratch, id),
  );
}

/** The same for a re-reading of every chunk of some backups. */
export async function runVerification(
  context: OperationContext,
  cluster: Cluster,
  ids: readonly BackupId[],
  cause: RunCause,
): Promise<VerificationResult> {
  const { keyring, database } = cluster;
  const repository = { store: requireStore(cluster.store), keyring, database };
  return await underOwnLease(context, cluster, { kind: 'verify', cause }, (held) =>
    verifyBackups(held, repository, ids),
  );
}

interface RunDescription {
  readonly kind: RunKind;
  readonly cause: RunCause;
  readonly backupId?: BackupId;
}

async function underOwnLease<T>(
  context: OperationContext,
  { database }: Cluster,
  run: RunDescription,
  work: (context: OperationContext) => Promise<T>,
): Promise<T> {
  const lease = await acquireLease(database, { ...operationLease, name: run.kind, holder: context.holder }, context);
  try {
    const held = { ...context, signal: AbortSignal.any([context.signal, lease.lost]) };
    return await recordedRun(held, database, run, () => work(held));
  } finally {
    await lease.release();
  }
}

/** Records that a run began and how it ended. Call it under the lease of its kind. */
export async function recordedRun<T>(
  context: OperationContext,
  database: Database,
  run: RunDescription,
  work: () => Promise<T>,
): Promise<T> {
  const runId = await recordRunBegin(database.queries, { ...run, holder: context.holder }, context);
  try {
    const result = await work();
    await recordRunEnd(database.queries, runId, { outcome: 'succeeded', ...backupOf(result) }, context);
    return result;
  } catch (thrown) {
    const { code, message } = toEnclaveManagerError(thrown);
    const outcome = context.signal.aborted ? 'interrupted' : 'failed';
    // Where the database itself is what failed, the missing end says so: the next run marks this one as interrupted.
    await recordRunEnd(database.queries, runId, { outcome, error: { code, message } }, context).catch(() => {});
    throw thrown;
  }
}

function backupOf(result: unknown): { readonly backupId?: BackupId } {
  return typeof result === 'object' && result !== null && 'id' in result && typeof result.id === 'string'
    ? { backupId: result.id }
    : {};
}
