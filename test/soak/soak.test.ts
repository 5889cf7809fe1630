import { describe, expect, it } from 'vitest';
import { availableOperations } from './operations/operations.ts';
import { soak } from './run.ts';

/** The same every time: what happens by chance is drawn from it, what happens by time is not. */
const limits = {
  seed: 'short',
  minutes: 60,
  operations: Infinity,
  until: Infinity,
  untilAllDone: false,
  directory: undefined,
  keep: false,
};

describe('the long run, cut short', { timeout: 1_800_000 }, () => {
  it('does everything there is to hosts that share a database, and finds the promises kept', async () => {
    const options = { ...limits, round: 1, operationsPerRound: 300, untilAllDone: true };
    const { violation, tally } = await soak(options, () => {});
    expect(violation?.message).toBeUndefined();
    const done = availableOperations.map(({ name }) => [name, tally.of(`operation: ${name}`) > 0]);
    expect(Object.fromEntries(done)).toEqual(Object.fromEntries(availableOperations.map(({ name }) => [name, true])));
    const faults = [
      'SIGKILL',
      'SIGSTOP',
      'database destroyed',
      'PostgreSQL killed',
      'object',
      'host lost',
      'membership hidden',
    ];
    const refused = 'refused: new keys while backups are hidden';
    for (const what of [...faults.map((name) => `fault: ${name}`), 'restored and compared', 'planted: ', refused])
      expect(tally.of(what), what).toBeGreaterThan(0);
    // Which of the two is drawn depends on who was evicted by then.
    expect(tally.of('refused: outsider') + tally.of('refused: evicted')).toBeGreaterThan(0);
  });

  it('does the same to one host with an embedded database', async () => {
    const { violation, tally } = await soak({ ...limits, round: 4, operationsPerRound: 12 }, () => {});
    expect(violation?.message).toBeUndefined();
    for (const what of ['operation: backup create', 'restored and compared'])
      expect(tally.of(what), what).toBeGreaterThan(0);
  });
});
