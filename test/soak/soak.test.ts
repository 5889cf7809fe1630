import { describe, expect, it } from 'vitest';
import { operations } from './operations/operations.ts';
import { soak } from './run.ts';

/** The same every time: what happens by chance is drawn from it, what happens by time is not. */
const seed = 'short';
const limits = { seed, minutes: 30, operations: Infinity, until: Infinity, directory: undefined, keep: false };

describe('the long run, cut short', { timeout: 900_000 }, () => {
  it('does everything there is to hosts that share a database, and finds the promises kept', async () => {
    const { violation, tally } = await soak({ ...limits, round: 1, operationsPerRound: 36 }, () => {});
    expect(violation?.message).toBeUndefined();
    const done = operations.map(({ name }) => [name, tally.of(`operation: ${name}`) > 0]);
    expect(Object.fromEntries(done)).toEqual(Object.fromEntries(operations.map(({ name }) => [name, true])));
    const faults = ['SIGKILL', 'SIGSTOP', 'wrong clock', 'database destroyed', 'object'].map(
      (name) => `fault: ${name}`,
    );
    for (const what of [...faults, 'crash point: ', 'restored', 'restored and compared', 'refused: outsider'])
      expect(tally.of(what), what).toBeGreaterThan(0);
  });

  it('does the same to one host with an embedded database', async () => {
    const { violation, tally } = await soak({ ...limits, round: 4, operationsPerRound: 12 }, () => {});
    expect(violation?.message).toBeUndefined();
    for (const what of ['operation: backup create', 'operation: restore run', 'restored and compared'])
      expect(tally.of(what), what).toBeGreaterThan(0);
  });
});
