import { describe, expect, it } from 'vitest';
import { notReady, ready } from '#model/readiness.ts';
import { Gate } from './gate.ts';
import { SteppingClock } from './stepping-clock.fixture.ts';

const forever = async (signal: AbortSignal): Promise<never> =>
  await new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error));
  });
const signal = new AbortController().signal;

describe('Gate', () => {
  it('is closed at first and lets no work begin', async () => {
    const gate = new Gate(new SteppingClock('2026-11-22T20:35:47Z', 10_000));
    expect(gate.readiness.ready).toBe(false);
    expect(await gate.work(signal, async () => 'done')).toBeUndefined();
  });

  it('lets work begin while it is open', async () => {
    const gate = new Gate(new SteppingClock('2026-11-22T20:35:47Z', 10_000));
    gate.open(ready, Infinity);
    expect(gate.readiness).toEqual(ready);
    expect(await gate.work(signal, async () => 'done')).toBe('done');
  });

  it('serves on with what somebody has to decide, and says it no longer once that is settled', () => {
    const gate = new Gate(new SteppingClock('2026-11-22T20:35:47Z', 10_000));
    const notice = { reasons: ['two databases are live'], commands: ['restore run latest'] };
    gate.notice(notice);
    expect(gate.readiness).toMatchObject({ ready: false, reasons: ['starting'], commands: [] });
    gate.open(ready, Infinity);
    expect(gate.readiness).toEqual({ ...ready, ...notice });
    gate.notice(undefined);
    expect(gate.readiness).toEqual(ready);
  });

  it('interrupts work when it closes, and is closed only when that has ended', async () => {
    const gate = new Gate(new SteppingClock('2026-11-22T20:35:47Z', 10_000));
    gate.open(ready, Infinity);
    const events: string[] = [];
    const work = gate
      .work(signal, async (inner) => {
        await forever(inner).catch(() => {});
        await new Promise((resolve) => setTimeout(resolve, 20));
        events.push('work ended');
        inner.throwIfAborted();
      })
      .catch((error: Error) => error);
    await gate.close(notReady('paused for a restore'));
    events.push('closed');
    expect(events).toEqual(['work ended', 'closed']);
    expect(await work).toMatchObject({ code: 'interrupted', message: 'paused for a restore' });
    expect(await gate.work(signal, async () => 'done')).toBeUndefined();
  });

  it('opens again for new work', async () => {
    const gate = new Gate(new SteppingClock('2026-11-22T20:35:47Z', 10_000));
    gate.open(ready, Infinity);
    await gate.close(notReady('paused'));
    gate.open(ready, Infinity);
    expect(await gate.work(signal, async (inner) => inner.aborted)).toBe(false);
  });

  it('finds itself closed after the time it was opened for, and open again only when it is opened anew', async () => {
    const clock = new SteppingClock('2026-11-22T20:35:47Z', 60_000);
    const gate = new Gate(clock);
    gate.open(ready, 15_000);
    const work = gate.work(signal, forever).catch((error: Error) => error);
    await clock.sleep(14_999);
    expect([gate.isOpen, gate.hasRunOut, gate.readiness.ready]).toEqual([true, false, true]);
    await clock.sleep(1);
    expect([gate.isOpen, gate.hasRunOut]).toEqual([false, true]);
    expect(gate.readiness).toMatchObject({ ready: false, retryAfterSeconds: 2 });
    expect(await gate.work(signal, async () => 'done')).toBeUndefined();
    await gate.close(gate.readiness);
    expect(await work).toMatchObject({ code: 'interrupted' });
    expect(gate.hasRunOut).toBe(false);
    gate.open(ready, 30_000);
    expect(await gate.work(signal, async () => 'done')).toBe('done');
  });
});
