import { describe, expect, it, onTestFinished, vi } from 'vitest';
import type { Clock } from '#ports/clock.ts';
import { Interruption, watchParent } from './interruption.ts';

function interruptionAt(times: { ms: number }) {
  const exits: number[] = [];
  const clock: Clock = { now: () => new Date(0), monotonicMs: () => times.ms, sleep: async () => {} };
  return { interruption: new Interruption(clock, (exitCode) => exits.push(exitCode)), exits };
}

describe('Interruption', () => {
  it.each([
    ['SIGINT', 'interrupted', 130],
    ['SIGTERM', 'terminated', 143],
    ['SIGHUP', 'terminated', 143],
  ] as const)('aborts on %s with %s', (signal, code, exitCode) => {
    const { interruption } = interruptionAt({ ms: 0 });
    interruption.handle(signal);
    expect(interruption.signal.reason).toMatchObject({ code, exitCode });
  });

  it('takes a second Ctrl-C within half a second as the same, and a later one as impatience', () => {
    const times = { ms: 1000 };
    const { interruption, exits } = interruptionAt(times);
    interruption.handle('SIGINT');
    times.ms = 1400;
    interruption.handle('SIGINT');
    expect(exits).toEqual([]);
    times.ms = 1600;
    interruption.handle('SIGINT');
    expect(exits).toEqual([130]);
  });
});

describe('watchParent', () => {
  it('says once that the process that started us has ended', () => {
    vi.useFakeTimers();
    onTestFinished(() => void vi.useRealTimers());
    let parent = 7;
    const lost = vi.fn<() => void>();
    watchParent(() => parent, lost);
    vi.advanceTimersByTime(10_000);
    expect(lost).not.toHaveBeenCalled();
    parent = 1;
    vi.advanceTimersByTime(10_000);
    expect(lost).toHaveBeenCalledTimes(1);
  });
});
