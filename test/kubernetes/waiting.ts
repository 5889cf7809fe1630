import { setTimeout as sleep } from 'node:timers/promises';

/** Asks once a second until there is an answer. What the question throws is the reason given when the time is over. */
export async function until<T>(
  what: string,
  timeoutMs: number,
  ask: () => Promise<T | undefined>,
  describe?: () => Promise<string>,
): Promise<T> {
  const end = performance.now() + timeoutMs;
  let problem: unknown;
  for (;;) {
    try {
      const answer = await ask();
      if (answer !== undefined) return answer;
      problem = undefined;
    } catch (error) {
      problem = error;
    }
    if (performance.now() > end) {
      const seen = await describe?.().catch(() => undefined);
      const message = `after ${timeoutMs / 1000} s still not: ${what}${seen === undefined ? '' : `\n${seen}`}`;
      throw new Error(message, { cause: problem });
    }
    await sleep(1000);
  }
}
