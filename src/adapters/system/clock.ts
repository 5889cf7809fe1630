import { setTimeout as delay } from 'node:timers/promises';
import type { Clock } from '#ports/clock.ts';

/** setTimeout takes no more; a longer one would end at once. */
const longestTimerMs = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: () => new Date(),
  monotonicMs: () => performance.now(),
  sleep: async (ms, signal) => {
    for (let left = ms; left > 0 || left === ms; left -= longestTimerMs) {
      await sleepOnce(Math.min(Math.max(left, 0), longestTimerMs), signal);
    }
  },
};

async function sleepOnce(ms: number, signal: AbortSignal | undefined): Promise<void> {
  try {
    await delay(ms, undefined, signal === undefined ? {} : { signal });
  } catch (error) {
    throw signal?.aborted === true ? signal.reason : error;
  }
}
