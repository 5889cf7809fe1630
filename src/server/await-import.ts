import type { ErrorCode } from '#errors/codes.ts';
import { toEnclaveManagerError, type EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { notReady, type Readiness } from '#model/readiness.ts';
import type { Host, OperationContext } from '#operations/context.ts';
import { findImportStamp, findLiveStamp } from '#operations/find-import.ts';
import { finishImport } from '#operations/finish-import.ts';
import type { Database } from '#ports/database.ts';
import { hasImportMarker } from '#store/import-marker.ts';
import type { Gate } from './gate.ts';

const pollMs = 2_000;
/** What was refused is refused again, at the cost of reading everything: it is looked at again only when something changed, or rarely. */
const retryMs = 5 * 60_000;
const retrySoonMs = 5_000;

const transient: ReadonlySet<ErrorCode> = new Set([
  'lease-held',
  'repository-unreachable',
  'database-unreachable',
  'sealing-unavailable',
]);

/** Why an import does not serve, and what to do. */
export function importNotReady({ message, hint }: EnclaveManagerError): Readiness {
  const commands = ['enclave-manager database status', 'enclave-manager restore run latest'];
  return { ...notReady(message, { commands }), reasons: [message, hint] };
}

/** Waits after an import was refused, until it has changed or may be looked at again. Cheap while it waits. */
export async function untilImportChanges(
  context: OperationContext,
  host: Host,
  seen: string | undefined,
  refusal: EnclaveManagerError,
): Promise<void> {
  const { clock, signal } = context;
  const lookAgainAtMs = clock.monotonicMs() + (transient.has(refusal.code) ? retrySoonMs : retryMs);
  do {
    await clock.sleep(pollMs, signal);
    if ((await findLiveStamp(host.server).catch(() => seen)) !== seen) return;
  } while (clock.monotonicMs() < lookAgainAtMs);
}

export interface ImportParts {
  readonly host: Host;
  /** The live database, whatever its name means now. */
  readonly database: Database;
  readonly gate: Gate;
  readonly log: (message: string) => void;
}

/** Finishes exports that are replayed while this manager runs, until the signal; presence keeps the gate closed meanwhile. */
export async function runImports(context: OperationContext, { host, database, gate, log }: ImportParts): Promise<void> {
  const { clock, signal } = context;
  while (!signal.aborted) {
    await clock.sleep(pollMs, signal).catch(() => {});
    if (signal.aborted || !(await hasImportMarker(database).catch(() => false))) continue;
    const stamp = await findImportStamp(host.server).catch(() => undefined);
    if (stamp === undefined) continue;
    try {
      const finished = await finishImport(context, host, { trust: { kind: 'compared' } });
      if (finished !== undefined) log(`the import of backup ${finished.backupId} is checked; serving it`);
    } catch (error) {
      if (signal.aborted) return;
      const refusal = toEnclaveManagerError(error);
      log(`${refusal.message}. ${refusal.hint}`);
      gate.report(importNotReady(refusal));
      await untilImportChanges(context, host, stamp, refusal).catch(() => {});
    }
  }
}
