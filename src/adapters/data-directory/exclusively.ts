import { setTimeout } from 'node:timers/promises';
import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { tryKernelLock } from './kernel-lock.ts';

/** Together a minute at least. */
const lockAttempts = 6000;
const lockPauseMs = 10;

/**
 * Of all processes one at a time, by a lock that ends with its process. For work that takes no longer than a few files take
 * to be flushed. `path`: what it is about, for people.
 */
export async function exclusively<T>(lockPath: string, path: string, work: () => Promise<T>): Promise<T> {
  for (let attempt = 0; attempt < lockAttempts; attempt += 1) {
    const lock = tryKernelLock(lockPath);
    if (lock === undefined) {
      await setTimeout(lockPauseMs);
      continue;
    }
    try {
      return await work();
    } finally {
      lock.close();
    }
  }
  throw new EnclaveManagerError('data-directory-in-use', `${path} is kept by another process that does not end`, {
    hint: 'Look for a command of enclave-manager on this data directory that hangs or was stopped, and end it.',
  });
}
