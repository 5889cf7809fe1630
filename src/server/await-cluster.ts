import type { ErrorCode } from '#errors/codes.ts';
import { type EnclaveManagerError, isEnclaveManagerError } from '#errors/enclave-manager-error.ts';
import type { Configuration } from '#config/configuration.ts';
import { notReady, type Readiness } from '#model/readiness.ts';
import type { Host, OperationContext } from '#operations/context.ts';
import { findImportStamp, findLiveStamp } from '#operations/find-import.ts';
import { readLiveMaintenance } from '#operations/live-maintenance.ts';
import { openOrCreateCluster, type OpenedCluster } from '#operations/open-cluster.ts';
import type { DatabaseServer } from '#ports/database.ts';
import { importNotReady, untilImportChanges } from './await-import.ts';
import type { Gate } from './gate.ts';

export interface AwaitingParts {
  readonly configuration: Pick<Configuration, 'database' | 'waitAtStart'>;
  readonly gate: Gate;
  log(message: string): void;
}

/** What somebody elsewhere may bring, so that waiting for it has an end. */
const maySettle: ReadonlySet<ErrorCode> = new Set([
  'database-unreachable',
  'repository-unreachable',
  'sealing-unavailable',
  'lease-held',
  'no-key',
  'not-permitted',
]);

const pollMs = 2_000;
/** Each look reads the keyring, in the repository and from the device. */
const keyPollMs = 10_000;
const maintenancePollMs = 500;

const restoreCommands = ['enclave-manager restore plan latest', 'enclave-manager restore run latest'];
const enrolCommands = ['enclave-manager node invite', 'enclave-manager node enrol --token-file -'];

/** Opens the database server; where it may come later and that is asked for, waits for it. */
export async function openWhenThere<T>(
  context: OperationContext,
  parts: AwaitingParts,
  open: () => Promise<T>,
): Promise<T> {
  let said: string | undefined;
  for (;;) {
    try {
      return await open();
    } catch (error) {
      context.signal.throwIfAborted();
      if (!isEnclaveManagerError(error, 'database-unreachable') || !parts.configuration.waitAtStart) throw error;
      said = report(parts, error, said);
      await context.clock.sleep(pollMs, context.signal);
    }
  }
}

/**
 * Where the database is empty while backups exist, an external one is waited for; with the embedded one somebody must act.
 * An import that does not serve is waited for in either. What else may still come is waited for where that is asked for.
 */
export async function openWhenRestored(
  context: OperationContext,
  parts: AwaitingParts,
  host: Host,
): Promise<OpenedCluster> {
  let said: string | undefined;
  for (;;) {
    // Before it is tried: a replay that ends meanwhile has then changed.
    const before = await findLiveStamp(host.server).catch(() => undefined);
    try {
      await waitOutMaintenance(context, parts, host);
      return await openOrCreateCluster(context, host);
    } catch (error) {
      context.signal.throwIfAborted();
      if (!isEnclaveManagerError(error)) throw error;
      const stamp = await stampOf(host.server);
      const isImport = stamp !== undefined || error.code === 'import-pending';
      if (!isImport && !mayComeBack(parts, error, said !== undefined)) throw error;
      said = report(parts, error, said, isImport ? importNotReady(error) : notReadyFor(error));
      if (!isImport) await context.clock.sleep(pauseAfter(error), context.signal);
      else await untilImportChanges(context, host, before, error);
    }
  }
}

const stampOf = async (server: DatabaseServer): Promise<string | undefined> =>
  await findImportStamp(server).catch(() => undefined);

function mayComeBack({ configuration }: AwaitingParts, error: EnclaveManagerError, isWaiting: boolean): boolean {
  const isEmpty = error.code === 'restore-needed';
  // Somebody who replays anew drops and creates the database in between.
  if (isWaiting && (isEmpty || error.code === 'database-unreachable')) return true;
  if (isEmpty && configuration.database.kind === 'external') return true;
  return configuration.waitAtStart && maySettle.has(error.code);
}

function notReadyFor(error: EnclaveManagerError): Readiness {
  if (error.code === 'restore-needed') return notReady(error.message, { commands: error.commands ?? restoreCommands });
  const lacksKey = error.code === 'no-key' || error.code === 'not-permitted';
  return {
    ...notReady(error.message, lacksKey ? { commands: enrolCommands } : { retryAfterSeconds: pollMs / 1000 }),
    reasons: [error.message, error.hint],
  };
}

const pauseAfter = ({ code }: EnclaveManagerError): number =>
  code === 'restore-needed' || code === 'database-unreachable' ? pollMs : keyPollMs;

/** Tells whoever asks, and the log where it is news. Returns what was said. */
function report(
  { gate, log }: AwaitingParts,
  error: EnclaveManagerError,
  said: string | undefined,
  readiness = notReadyFor(error),
): string {
  const wayOut =
    error.code === 'restore-needed'
      ? `Waiting until it is restored: ${(error.commands ?? restoreCommands).join('; ')}`
      : error.hint;
  if (said !== error.message) log(`${error.message}. ${wayOut}`);
  gate.report(readiness);
  return error.message;
}

/** What a start writes, an adoption or a migration, would be lost with the database that a restore is about to replace. */
async function waitOutMaintenance(
  context: OperationContext,
  { gate, log }: AwaitingParts,
  { server }: Host,
): Promise<void> {
  let said = false;
  for (;;) {
    const maintenance = await readLiveMaintenance(server);
    if (maintenance === undefined) return;
    const sentence = `paused for a ${maintenance.reason} by ${maintenance.begunBy}`;
    if (!said) log(sentence);
    said = true;
    gate.report(notReady(sentence, { retryAfterSeconds: 2 }));
    await context.clock.sleep(maintenancePollMs, context.signal);
  }
}
