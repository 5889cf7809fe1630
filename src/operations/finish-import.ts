import { EnclaveManagerError, isEnclaveManagerError } from '#errors/enclave-manager-error.ts';
import type { Incarnation } from '#model/backup.ts';
import { timedId, type BackupId } from '#model/identifiers.ts';
import { epochsUncompared } from '#model/uncompared-epochs.ts';
import type { Database } from '#ports/database.ts';
import type { NodeState } from '#ports/local-state.ts';
import { readCluster } from '#store/cluster.ts';
import { resetEphemeralTables } from '#store/ephemeral-tables.ts';
import { dropImportMarker, readImportMarker } from '#store/import-marker.ts';
import { requireLease } from '#store/lease-rows.ts';
import { acquireLease } from '#store/leases.ts';
import type { Lease } from '#store/held-lease.ts';
import { migrate } from '#store/migrate.ts';
import { requireKnownColumns, type KnowsSealed } from '#store/sealed-values.ts';
import { beginNewLife, nextIncarnation } from './begin-new-life.ts';
import { compareImport } from './compare-import.ts';
import { requireCurrentKeys } from './current-keys.ts';
import { operationLease, type Host, type OperationContext } from './context.ts';
import { holdToMemory } from './hold-to-memory.ts';
import type { ImportCheck } from './import-check.ts';
import { checkImportTrust, refuseDifferences, type ImportTrust } from './judge-import.ts';
import { openImport, type OpenedImport } from './open-import.ts';
import { keyringPastMemory } from './past-memory.ts';
import { requireSchema } from './require-schema.ts';
import { givenUp, memoryAgainst, rememberNode } from './remember-node.ts';
import { rememberSequence } from './remember-sequence.ts';
import { sealedInBackup } from './sealed-in-backup.ts';

export interface FinishedImport {
  readonly backupId: BackupId;
  readonly sequence: number;
  readonly startedAt: string;
  readonly clusterKey: string;
  readonly incarnation: Incarnation;
  readonly check: ImportCheck;
}

export interface FinishOptions {
  readonly trust: ImportTrust;
  /** Asked before anything is written; throws to stop. */
  readonly confirm?: (opened: OpenedImport, check: ImportCheck) => Promise<void>;
}

/**
 * Makes a replayed export serve: keys and manifest are proved, every row is compared with the backup, then the rows begin
 * a new life as after a restore, and the marker goes in the same transaction. Crashed anywhere, the marker is still there
 * and the next one begins anew, because whoever writes SQL may have written since; of two at once one waits (`lease-held`). `undefined` where there is no import.
 */
export async function finishImport(
  context: OperationContext,
  host: Host,
  options: FinishOptions,
): Promise<FinishedImport | undefined> {
  const { server } = host;
  if ((await server.databaseIdentity(server.liveName)) === undefined) return undefined;
  const database = server.open(server.liveName);
  try {
    return await finishIn(context, host, database, options);
  } catch (error) {
    throw isEnclaveManagerError(error) ? error : notAnExport(error, context.signal);
  } finally {
    await database.close();
  }
}

async function finishIn(
  context: OperationContext,
  host: Host,
  database: Database,
  options: FinishOptions,
): Promise<FinishedImport | undefined> {
  context.progress.phase('looking at the import');
  const remembered = await host.localState.read();
  const before = await open(host, database, options.trust, remembered);
  if (before === undefined) return undefined;
  checkImportTrust(before, remembered, options.trust);
  const lease = await acquireLease(database, { ...operationLease, holder: context.holder }, context);
  const held = { ...context, signal: AbortSignal.any([context.signal, lease.lost]) };
  try {
    context.crashPoints.reach('import.lease-taken');
    // Whoever had the lease before may have finished it.
    const opened = await open(host, database, options.trust, remembered);
    return opened && (await finishUnderLease(held, host, database, lease, opened, options));
  } finally {
    await lease.release();
  }
}

type HeldImport = OpenedImport & { readonly remembered: NodeState | undefined };

/** Held to what this host remembers, but for what a person decided. */
async function open(
  host: Host,
  database: Database,
  trust: ImportTrust,
  remembered: NodeState | undefined,
): Promise<HeldImport | undefined> {
  const marker = await readImportMarker(database);
  if (marker === undefined) return undefined;
  const isAccepted = trust.kind === 'accepted';
  const opened = await openImport(host, database, marker, isAccepted ? { clusterKey: trust.clusterKey } : {});
  // Without a repository an export is believed on a person's word only, who names the cluster key.
  const held = { key: !isAccepted || !trust.older, membership: !isAccepted && opened.repository !== undefined };
  holdToMemory(remembered, opened.keyring, `the import in database "${database.name}"`, held);
  return { ...opened, remembered };
}

async function finishUnderLease(
  context: OperationContext,
  host: Host,
  database: Database,
  lease: Lease,
  opened: HeldImport,
  options: FinishOptions,
): Promise<FinishedImport> {
  const { keyring, manifest, remembered } = opened;
  const checked = await checkRows(context, host, database, opened, options);
  context.crashPoints.reach('import.compared');
  context.signal.throwIfAborted();
  context.progress.phase('bringing the import to today');
  await migrate(database, { beforeCommit: (queries) => requireLease(queries, lease.token) });
  context.crashPoints.reach('import.migrated');
  // The comparison takes long; what is sealed and signed with the keys of before would count nowhere.
  await requireCurrentKeys(keyring, { database, store: opened.repository?.store });
  context.signal.throwIfAborted();
  const current = { ...opened, keyring: await keyringPastMemory(context, host, keyring) };
  const incarnation = await begin(context, database, lease, current, checked);
  context.crashPoints.reach('import.finished');
  const { localState, sealing } = host;
  await rememberNode({ keyring, localState }, sealing, { against: memoryAgainst(keyring, remembered) });
  const { id, sequence, startedAt } = manifest.summary;
  await rememberSequence({ keyring, localState }, Math.max(sequence, opened.repository?.catalog.highestSequence ?? 0));
  context.progress.end();
  return { backupId: id, sequence, startedAt, clusterKey: keyring.fingerprint, incarnation, check: checked.check };
}

interface CheckedImport {
  readonly check: ImportCheck;
  /** `undefined` where nobody could compare. */
  readonly isKnown: KnowsSealed | undefined;
}

async function checkRows(
  context: OperationContext,
  host: Host,
  database: Database,
  opened: HeldImport,
  { trust, confirm }: FinishOptions,
): Promise<CheckedImport> {
  const rules = await requireSchema(context, host, database, opened.manifest);
  const { notCompared, differences: ofRows, isKnown } = await compare(context, database, opened, trust);
  const differences = [...rules, ...ofRows];
  refuseDifferences(opened.manifest.summary.id, differences, trust);
  const acceptedFor = trust.kind === 'accepted' ? trust.clusterKey : null;
  const older = givenUp(memoryAgainst(opened.keyring, opened.remembered));
  const check = { notCompared, differences, acceptedFor, ...older };
  await confirm?.(opened, check);
  context.signal.throwIfAborted();
  return { check, isKnown };
}

async function compare(
  context: OperationContext,
  database: Database,
  { repository, keyring, manifest }: OpenedImport,
  trust: ImportTrust,
): Promise<Pick<ImportCheck, 'notCompared' | 'differences'> & Pick<CheckedImport, 'isKnown'>> {
  const nothingKnown = { differences: [], isKnown: undefined };
  if (repository === undefined) return { ...nothingKnown, notCompared: 'there is no repository' };
  const source = { store: repository.store, keyring };
  try {
    const differences = await compareImport(context, source, manifest, database);
    return { notCompared: null, differences, isKnown: await sealedInBackup(context, source, manifest) };
  } catch (error) {
    if (trust.kind !== 'accepted' || !isEnclaveManagerError(error, 'damaged')) throw error;
    return { ...nothingKnown, notCompared: error.message };
  }
}

/** The step that a restore ends with, and the end of the marker, together or not at all. */
async function begin(
  context: OperationContext,
  database: Database,
  lease: Lease,
  { keyring, manifest, repository }: OpenedImport,
  { check, isKnown }: CheckedImport,
): Promise<Incarnation> {
  const { id, sequence } = manifest.summary;
  const restoreId = timedId(context.clock.now(), context.randomness.bytes(6));
  const row = await readCluster(database.queries);
  if (row?.clusterId !== keyring.clusterId)
    throw new EnclaveManagerError(
      'rows-differ',
      `the import's rows are of cluster ${row?.clusterId}, not ${keyring.clusterId}`,
    );
  const seen = [manifest.summary, ...(repository?.catalog.backups.map(({ entry }) => entry) ?? []), row];
  const incarnation = nextIncarnation(
    seen.map((each) => each.incarnation),
    context.randomness.bytes(8),
  );
  const now = context.clock.now();
  const record = {
    restoreId,
    backupId: id,
    backupSequence: sequence,
    state: 'complete' as const,
    incarnation,
    begunBy: context.holder,
    begunAt: now,
    endedAt: now,
    safetyBackupId: null,
    beforeDatabase: null,
    replacedIncarnation: null,
    replacedAudit: null,
    cleanedUpAt: null,
  };
  const details = { restoreId, incarnation: { ...incarnation }, ...check, differences: [...check.differences] };
  const epochs = isKnown === undefined ? epochsUncompared(keyring, manifest) : manifest.summary.epochs;
  const life = { database, record, action: 'imported', details, epochs, isKnown };
  await database.transaction(async (queries) => {
    await requireLease(queries, lease.token);
    await resetEphemeralTables(queries);
    if (isKnown !== undefined && check.acceptedFor === null) await requireKnownColumns(queries, isKnown);
    await beginNewLife(context, queries, keyring, life);
    await dropImportMarker(queries);
    context.crashPoints.reach('import.prepared');
  });
  return incarnation;
}

/** Somebody may have made anything of the tables; what PostgreSQL then says is no bug of ours. */
function notAnExport(error: unknown, signal: AbortSignal): unknown {
  if (signal.aborted) return signal.reason;
  const message = error instanceof Error ? error.message : String(error);
  const refused = error instanceof Error && 'code' in error && /^[0-9A-Z]{5}$/.test(String(error.code));
  if (!refused) return error;
  return new EnclaveManagerError('rows-differ', `the import is not what an export makes: ${message}`, {
    hint: 'Drop and create the database and replay an export that nobody changed, or restore: restore run latest.',
    cause: error,
  });
}
