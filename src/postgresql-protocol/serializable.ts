import { randomInt } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Kysely } from 'kysely';
import { errorCode, unreachable } from './database-errors.ts';

const attempts = 10;

/** `work` in one SERIALIZABLE transaction, again from the start where the server says that this is the way out. */
export async function runSerializable<T>(
  queries: Kysely<unknown>,
  location: string,
  work: (queries: Kysely<unknown>) => Promise<T>,
): Promise<T> {
  const once = (): Promise<T> => queries.transaction().setIsolationLevel('serializable').execute(work);
  return await runAgain(location, once);
}

/** A transaction, or a statement that is one, again from the start on a serialization failure or deadlock. */
export async function runAgain<T>(location: string, once: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await once();
    } catch (error) {
      if (!isRetryable(error)) throw error;
      if (attempt === attempts) {
        throw unreachable(location, `a transaction gave way to others ${attempts} times: ${String(error)}`, error);
      }
    }
    // Two transactions that met once must not meet in the same step again.
    await sleep(randomInt(1, 5 * 2 ** Math.min(attempt, 6)));
  }
}

/** Serialization failure and deadlock, SQLSTATE class 40 of the PostgreSQL documentation, appendix A. */
export function isRetryable(error: unknown): boolean {
  const code = errorCode(error);
  return code === '40001' || code === '40P01';
}
