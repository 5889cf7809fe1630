import { isEnclaveManagerError } from '#errors/enclave-manager-error.ts';
import type { Clock } from '#ports/clock.ts';
import { acquireDataDirectory, readDataDirectoryHolder, type DescribedLock } from './owner-lock.ts';

export interface ServingOptions {
  readonly dataDirectory: string;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Told once, before it waits. */
  readonly log: (message: string) => void;
  readonly waitMs?: number;
}

const serving = 'serve';
const stopping = 'serve, stopping';
const defaultWaitMs = 15_000;
const pollMs = 100;

/**
 * The lock of a data directory for a manager that stays. A command that uses the directory, and a manager that is
 * stopping, are waited for: they end by themselves. One that serves does not.
 *
 * Throws `data-directory-in-use`, at once beside a manager that serves, and the signal's reason.
 */
export async function ownForServing(options: ServingOptions): Promise<DescribedLock> {
  const { dataDirectory, clock, signal, log, waitMs = defaultWaitMs } = options;
  const deadlineMs = clock.monotonicMs() + waitMs;
  for (let said = false; ; said = true) {
    try {
      const lock = acquireDataDirectory(dataDirectory, serving);
      signal.addEventListener('abort', () => sayThatItStops(lock), { once: true });
      return lock;
    } catch (error) {
      if (!isEnclaveManagerError(error, 'data-directory-in-use')) throw error;
      const isServing = readDataDirectoryHolder(dataDirectory)?.command === serving;
      if (isServing || clock.monotonicMs() >= deadlineMs) throw error;
      if (!said) log(`${error.message}; waiting for its end`);
    }
    await clock.sleep(pollMs, signal);
  }
}

function sayThatItStops(lock: DescribedLock): void {
  try {
    lock.describe(stopping);
  } catch {
    // Without space for it the next start is told to come again instead of waiting.
  }
}
