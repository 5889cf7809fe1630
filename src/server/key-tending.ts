import { isEnclaveManagerError, toEnclaveManagerError } from '#errors/enclave-manager-error.ts';
import type { Host, OperationContext } from '#operations/context.ts';
import { openCluster } from '#operations/open-cluster.ts';
import { tendKeys } from '#operations/tend-keys.ts';
import type { Database } from '#ports/database.ts';
import { readKeyMark } from '#store/keyring-documents.ts';
import type { Gate } from './gate.ts';

export interface KeyTendingParts {
  readonly host: Host;
  readonly database: Database;
  readonly gate: Gate;
  readonly log: (message: string) => void;
  /** Told once this host turns out to be no member any more; the sentence is for people. */
  refuse(sentence: string): void;
}

const pollMs = 2_000;
/** What the database does not show, such as keys that were committed in the repository and nowhere else. */
const lookEveryMs = 300_000;
const failureRetryMs = 10_000;

/**
 * Looks whether the keys changed, until the signal: finishes what was interrupted, seals this host's credential anew, and
 * notices when this host was evicted.
 */
export async function runKeyTending(context: OperationContext, parts: KeyTendingParts): Promise<void> {
  const { clock, signal } = context;
  let tended: { readonly mark: string; readonly atMs: number } | undefined;
  while (!signal.aborted) {
    let waitMs = pollMs;
    try {
      const mark = await readKeyMark(parts.database.queries);
      const isDue = tended === undefined || clock.monotonicMs() - tended.atMs >= lookEveryMs;
      if (isDue || tended?.mark !== mark) {
        const done = await parts.gate.work(signal, (inner) => tend({ ...context, signal: inner }, parts));
        if (done === true) tended = { mark, atMs: clock.monotonicMs() };
      }
    } catch (error) {
      waitMs = sayWhy(error, context, parts);
    }
    await clock.sleep(waitMs, signal).catch(() => {});
  }
}

async function tend(context: OperationContext, { host }: KeyTendingParts): Promise<true> {
  const cluster = await openCluster(context, host);
  try {
    await tendKeys(context, host, cluster);
    return true;
  } finally {
    await cluster.database.close();
  }
}

function sayWhy(error: unknown, { signal }: OperationContext, { gate, log, refuse }: KeyTendingParts): number {
  if (signal.aborted || !gate.isOpen || isEnclaveManagerError(error, 'lease-held')) return pollMs;
  const { code, message, hint } = toEnclaveManagerError(error);
  if (code === 'not-permitted') refuse(`${message} ${hint} Then start this manager again.`);
  // Presence says that already.
  else if (code !== 'database-unreachable') log(`the keys are not all brought forward: ${message}`);
  return failureRetryMs;
}
