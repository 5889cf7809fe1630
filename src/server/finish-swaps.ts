import type { OperationContext } from '#operations/context.ts';
import { finishSwap } from '#operations/finish-swap.ts';
import type { DatabaseServer } from '#ports/database.ts';

const pollMs = 2_000;

/** Ends what a restore left between its two renames while this manager runs, until the signal; presence then finds the database. */
export async function runSwapFinishing(context: OperationContext, server: DatabaseServer): Promise<void> {
  const { clock, signal } = context;
  while (!signal.aborted) {
    // A database that does not answer, presence reports.
    await finishSwap(context, server, { unclear: 'leave' }).catch(() => {});
    await clock.sleep(pollMs, signal).catch(() => {});
  }
}
