import type { Database } from '#ports/database.ts';
import type { OperationContext } from './context.ts';

const everyMs = 500;

/**
 * Runs `work`, whose statements may take long on their own. Once the signal has aborted they are cancelled, and it rejects
 * with the signal's reason: whoever stops the program does not wait for an index to be built or a lock to be given back.
 */
export async function cancellable<T>(
  { signal, clock }: Pick<OperationContext, 'signal' | 'clock'>,
  database: Database,
  work: () => Promise<T>,
): Promise<T> {
  signal.throwIfAborted();
  const over = new AbortController();
  const cancelling = async (): Promise<void> => {
    while (!over.signal.aborted) {
      // Where the server does not answer, what is waited for ends by itself.
      await database.cancelLongStatements().catch(() => {});
      await clock.sleep(everyMs, over.signal).catch(() => {});
    }
  };
  let ended: Promise<void> | undefined;
  const begin = (): void => {
    ended = cancelling();
  };
  signal.addEventListener('abort', begin, { once: true });
  try {
    return await work();
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  } finally {
    signal.removeEventListener('abort', begin);
    over.abort();
    await ended;
  }
}
