import { EnclaveManagerError, isEnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { type OpenedKeyring, requireMember } from '#keys/keyring.ts';
import type { Incarnation } from '#model/backup.ts';
import type { BackupId } from '#model/identifiers.ts';
import { beforeName, stagingName, type RestoreId } from '#model/restore-names.ts';
import type { Database, SwapNames } from '#ports/database.ts';
import type { ObjectStore } from '#ports/object-store.ts';
import { readAuditHead } from '#store/audit.ts';
import { migrate } from '#store/migrate.ts';
import { updateRestore } from '#store/restores.ts';
import { bringKeysToRepository } from './bring-keys.ts';
import { withLaterMembership } from './carried-membership.ts';
import type { Host, OperationContext } from './context.ts';
import { fence, swapDeadline } from './fence.ts';
import { dropEmpty, finishSwap, swapLive } from './finish-swap.ts';
import { inspectLive, type Live } from './inspect-live.ts';
import { loadBackup } from './load-backup.ts';
import { nextRestoreId } from './next-restore-id.ts';
import { newestKeyring, type Repository } from './open-repository.ts';
import { openAsEverybody } from './open-database-cluster.ts';
import { keyringPastMemory } from './past-memory.ts';
import { prepareStaging, type Replaced, type RestoreFacts } from './prepare-staging.ts';
import { proveNodeIfAble } from './prove-node.ts';
import { beginReading } from './reading-time.ts';
import { recordVerification } from './record-verification.ts';
import { rememberNode } from './remember-node.ts';
import { rememberSequence } from './remember-sequence.ts';
import {
  openRestoreTarget,
  requireVerified,
  type ChosenBackup,
  type RestoreTarget,
  type Trust,
} from './restore-target.ts';
import { noteWithoutBackup, takeSafetyBackup } from './safety-backup.ts';
import { verifyBackups } from './verify-backup.ts';

/** With `repository` where the caller has opened it already. */
export type RestoreHost = Host & { readonly store: ObjectStore; readonly repository?: Repository | undefined };

export interface RestoreOptions extends ChosenBackup {
  readonly trust: Trust;
  /** `false` only when asked for by name: what is there now is then lost with `restore cleanup`. */
  readonly safetyBackup: boolean;
}

export interface RestoreResult {
  readonly restoreId: RestoreId;
  readonly backupId: BackupId;
  readonly sequence: number;
  readonly tables: number;
  readonly rows: number;
  readonly durationMs: number;
  readonly incarnation: Incarnation;
  readonly safetyBackupId: BackupId | null;
  /** The replaced database, kept until `restore cleanup`; `null` where there was none, or it held nothing. */
  readonly beforeDatabase: string | null;
}

/**
 * Restores a backup into a new database beside the live one, and swaps the two in one step when every row is there and
 * counted. A failure or a crash anywhere leaves either the old database serving or the new one complete.
 */
export async function restore(
  context: OperationContext,
  host: RestoreHost,
  options: RestoreOptions,
): Promise<RestoreResult> {
  try {
    return await restoreBackup(context, host, options);
  } catch (error) {
    throw failed(error, context.signal);
  }
}

async function restoreBackup(
  context: OperationContext,
  host: RestoreHost,
  options: RestoreOptions,
): Promise<RestoreResult> {
  const begunMs = context.clock.monotonicMs();
  context.progress.phase('looking at the repository');
  await finishSwap(context, host.server, { unclear: 'leave' });
  const liveKeys = await bringKeysToRepository(context, host, options.trust.clusterKey);
  const target = await openRestoreTarget(context, { ...host, liveKeys }, options, options.trust);
  if (target.keyring.missesMemberships) context.progress.note(missing(target.keyring));
  await requireVerified(context, target);
  context.crashPoints.reach('restore.planned');
  const live = await inspectLive(context, host, target.keyring);
  try {
    const restoreId = await nextRestoreId(context, host.server);
    const safety = options.safetyBackup
      ? await takeSafetyBackup(context, host, target.keyring, live, 'what is there now')
      : null;
    context.crashPoints.reach('restore.safety-backup-taken');
    const outcome = await buildAndSwap(context, host, target, live, {
      restoreId,
      safety,
      withSafety: options.safetyBackup,
    });
    context.progress.end();
    return {
      restoreId,
      backupId: target.backup.entry.id,
      sequence: target.backup.entry.sequence,
      tables: target.manifest.tables.length,
      rows: target.manifest.summary.rows,
      durationMs: Math.round(context.clock.monotonicMs() - begunMs),
      ...outcome,
    };
  } finally {
    await live.release();
  }
}

function missing({ membership: { number, nodes } }: OpenedKeyring): string {
  const names = nodes.map(({ name }) => name).join(', ');
  return `warning: memberships after number ${number} were deleted or hidden, and no backup carries them; a host enrolled since has to be enrolled again. Members now: ${names}`;
}

interface Chosen {
  readonly restoreId: RestoreId;
  readonly safety: BackupId | null;
  readonly withSafety: boolean;
}

type Outcome = Pick<RestoreResult, 'incarnation' | 'safetyBackupId' | 'beforeDatabase'>;

async function buildAndSwap(
  context: OperationContext,
  host: Host,
  target: RestoreTarget,
  live: Live,
  chosen: Chosen,
): Promise<Outcome> {
  const { server } = host;
  const names = {
    live: server.liveName,
    staging: stagingName(server.liveName, chosen.restoreId),
    before: beforeName(server.liveName, chosen.restoreId),
    expectedLive: live.identity,
  };
  await server.createDatabase(names.staging, live.identity === undefined ? {} : { like: names.live });
  context.crashPoints.reach('restore.staging-created');
  const staging = server.open(names.staging);
  let swapped = false;
  try {
    if (live.held === undefined) await noteTakenOver(context, staging);
    if (chosen.withSafety) noteWithoutBackup(context, live, names);
    await load(context, target, staging);
    await migrate(staging);
    await live.assertUnchanged();
    const fenced = await fence(context, live);
    try {
      const safetyBackupId = chosen.withSafety
        ? ((await takeSafetyBackup(context, host, target.keyring, live, 'what was written meanwhile')) ?? chosen.safety)
        : null;
      context.crashPoints.reach('restore.fenced');
      const beforeDatabase = live.content === 'nothing' ? null : names.before;
      const facts = { restoreId: chosen.restoreId, safetyBackupId, beforeDatabase };
      const incarnation = await makeReady(context, host, staging, target, live, facts);
      context.crashPoints.reach('restore.prepared');
      await staging.close();
      const notAfter = await swapDeadline(live, fenced);
      context.signal.throwIfAborted();
      context.progress.phase('swapping the databases');
      context.crashPoints.reach('restore.swapping');
      await swapLive(context, server, { ...names, notAfter });
      swapped = true;
      context.crashPoints.reach('restore.swapped');
      if (beforeDatabase === null) await dropEmpty(server, names.before);
      await finish(context, host, target, chosen.restoreId);
      return { incarnation, safetyBackupId, beforeDatabase };
    } finally {
      if (swapped) fenced.leave();
      else await fenced.lift();
    }
  } catch (error) {
    if (swapped) throw incomplete(error);
    await discard(staging, host, names);
    throw error;
  }
}

/** What begins to serve has the keys of today, and opens by what every command opens it with. */
async function makeReady(
  context: OperationContext,
  host: Host,
  staging: Database,
  target: RestoreTarget,
  live: Live,
  facts: RestoreFacts,
): Promise<Incarnation> {
  const keyring = await keyringOfNow(context, host, target);
  const incarnations = target.catalog.backups.map(({ entry }) => entry.incarnation);
  const restored = { ...target, keyring, incarnations };
  const incarnation = await prepareStaging(context, staging, restored, await replacedBy(live), facts);
  await openAsEverybody(context, host, staging, keyring);
  return incarnation;
}

/** Whoever was enrolled or evicted while rows were loaded is that in the restored database too. */
async function keyringOfNow(context: OperationContext, host: Host, target: RestoreTarget): Promise<OpenedKeyring> {
  const newest = await newestKeyring(target, host.sealing, { clusterKey: target.keyring.fingerprint });
  const keyring = await withLaterMembership(newest.keyring, target.keyring.documents, host.sealing);
  requireMember(keyring);
  return await keyringPastMemory(context, host, keyring);
}

async function replacedBy({ held }: Live): Promise<Replaced | null> {
  if (held === undefined) return null;
  return { incarnation: held.cluster.incarnation, audit: await readAuditHead(held.database.queries) };
}

const mostNamed = 10;

/** What was there served nobody yet, so somebody may have granted and set in it what nobody has seen since. */
async function noteTakenOver({ progress }: OperationContext, staging: Database): Promise<void> {
  const rules = await staging.accessRules();
  for (const rule of rules.slice(0, mostNamed)) progress.note(`taken over from the database that is replaced: ${rule}`);
  if (rules.length > mostNamed) progress.note(`taken over as well: ${rules.length - mostNamed} more such rules`);
}

/** What loading finds damaged is recorded, so that the next backup stores it anew. */
async function load(context: OperationContext, target: RestoreTarget, staging: Database): Promise<void> {
  const { store, keyring, manifest } = target;
  const { id } = manifest.summary;
  const begun = beginReading(context.clock);
  try {
    const { healed } = await loadBackup(context, target, manifest, staging);
    for (const { name, healedBy } of healed)
      context.progress.note(`chunk object ${name} is damaged; its rows came from ${healedBy}`);
    if (healed.length === 0) return;
    const outcome = { backups: [id], level: 'restored' as const, begun, passed: true, objects: null };
    const bad = healed.map(({ name }) => name);
    // A repository that takes no writes is no reason not to restore from it.
    await recordVerification(context, { store, keyring }, { ...outcome, bad }).catch(() => {});
  } catch (error) {
    // Where the reading fails as well, the damage that was met first is what the caller hears of.
    if (isEnclaveManagerError(error, 'damaged')) await verifyBackups(context, target, [id]).catch(() => {});
    throw error;
  }
}

/** After the swap the restored data serves; what is left is bookkeeping, and any host can repeat it. */
async function finish(
  context: OperationContext,
  host: Host,
  target: RestoreTarget,
  restoreId: RestoreId,
): Promise<void> {
  const database = host.server.open(host.server.liveName);
  try {
    await updateRestore(database.queries, restoreId, { state: 'complete', endedAt: context.clock.now() });
    await proveNodeIfAble(context, { keyring: target.keyring, database });
    await rememberNode({ keyring: target.keyring, localState: host.localState }, host.sealing, target);
    await rememberSequence({ keyring: target.keyring, localState: host.localState }, target.catalog.highestSequence);
    context.crashPoints.reach('restore.recorded');
  } finally {
    await database.close();
  }
}

/**
 * The half-built database is of no use to anybody; where even dropping it fails, `restore cleanup` does it later. Where
 * the swap stopped in its middle, or the live database is gone for another reason, it may be what has to serve.
 */
async function discard(
  staging: Database,
  { server }: Host,
  names: Pick<SwapNames, 'live' | 'staging' | 'expectedLive'>,
): Promise<void> {
  await staging.close().catch(() => {});
  const isWanted = async (): Promise<boolean> =>
    names.expectedLive !== undefined && (await server.databaseIdentity(names.live)) === undefined;
  if (!(await isWanted().catch(() => true))) await server.dropDatabase(names.staging).catch(() => {});
}

function incomplete(error: unknown): EnclaveManagerError {
  const message = error instanceof Error ? error.message : String(error);
  return new EnclaveManagerError(
    'follow-up-incomplete',
    `the restored data serves, but the restore was not recorded as complete: ${message}`,
    { cause: error },
  );
}

function failed(error: unknown, signal: AbortSignal): unknown {
  if (isEnclaveManagerError(error) && error.code !== 'unexpected') return error;
  // What was interrupted may fail with anything.
  if (signal.aborted) return signal.reason;
  const message = error instanceof Error ? error.message : String(error);
  return new EnclaveManagerError('restore-failed', `the restore failed and the old data is untouched: ${message}`, {
    cause: error,
  });
}
