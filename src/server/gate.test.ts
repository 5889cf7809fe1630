import { describe, expect, it } from 'vitest';
import { notReady, ready } from '#model/readiness.ts';
import { Gate } from './gate.ts';

const forever = async (signal: AbortSignal): Promise<never> =>
  await new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error));
  });
const signal = new AbortController().signal;

describe('Gate', () => {
  it('is closed at first and lets no work begin', async () => {
    const gate = new Gate();
    expect(gate.readiness.ready).toBe(false);
    expect(await gate.work(signal, async () => 'done')).toBeUndefined();
  });

  it('lets work begin while it is open', async () => {
    const gate = new Gate();
    gate.open(ready);
    expect(gate.readiness).toEqual(ready);
    expect(await gate.work(signal, async () => 'done')).toBe('done');
  });

  it('interrupts work when it closes, and is closed only when that has ended', async () => {
    const gate = new Gate();
    gate.open(ready);
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
    const gate = new Gate();
    gate.open(ready);
    await gate.close(notReady('paused'));
    gate.open(ready);
    expect(await gate.work(signal, async (inner) => inner.aborted)).toBe(false);
  });
});
