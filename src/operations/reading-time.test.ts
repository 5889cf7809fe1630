import { describe, expect, it } from 'vitest';
import { beginReading } from './reading-time.ts';

const begun = Date.parse('2026-11-25T12:00:00.000Z');

/** Both clocks, as they stand after a reading began at `begun` and at 1000 ms. */
function readingUntil(wallMs: number, monotonicMs: number) {
  let now = { wallMs: begun, monotonicMs: 1000 };
  const clock = {
    now: () => new Date(now.wallMs),
    monotonicMs: () => now.monotonicMs,
    sleep: async () => {},
  };
  const reading = beginReading(clock);
  now = { wallMs, monotonicMs };
  return { at: reading.at, elapsedMs: reading.elapsedMs() };
}

describe('the time of a reading', () => {
  const at = '2026-11-25T12:00:00.000Z';

  it('is when it began, and how long it took', () => {
    expect(readingUntil(begun + 5000, 6000.2)).toEqual({ at, elapsedMs: 5001 });
  });

  it('counts the time in which the host slept, and no jump back of its wall clock', () => {
    expect(readingUntil(begun + 3_600_000, 6000)).toEqual({ at, elapsedMs: 3_600_000 });
    expect(readingUntil(begun - 3_600_000, 6000)).toEqual({ at, elapsedMs: 5000 });
  });
});
