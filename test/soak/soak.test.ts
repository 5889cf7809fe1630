import { describe, expect, it } from 'vitest';
import { allDone, availableOperations } from './operations/operations.ts';
import { soak } from './run.ts';
import type { Tally } from './tally.ts';

const limits = {
  /** The same every time: what happens by chance is drawn from it, what happens by time is not. */
  seed: 'short',
  minutes: 60,
  operations: Infinity,
  until: Infinity,
  directory: undefined,
  keep: false,
};

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
const wanted = [...faults.map((name) => `fault: ${name}`), 'restored and compared', 'planted: ', refused];
const wantedOfOne = ['operation: backup create', 'restored and compared'];

const missing = (tally: Tally, names: readonly string[]): string[] => names.filter((name) => tally.of(name) === 0);
/** Which of the two is drawn depends on who was evicted by then. */
const isRefused = (tally: Tally): boolean => tally.of('refused: outsider') + tally.of('refused: evicted') > 0;

describe('the long run, cut short', { timeout: 1_800_000 }, () => {
  it('does everything there is to hosts that share a database, and finds the promises kept', async () => {
    const isEnough = (tally: Tally): boolean =>
      allDone(tally) && missing(tally, wanted).length === 0 && isRefused(tally);
    const { violation, tally } = await soak({ ...limits, round: 1, operationsPerRound: 300, isEnough }, () => {});
    expect(violation?.message).toBeUndefined();
    const done = availableOperations.map(({ name }) => [name, tally.of(`operation: ${name}`) > 0]);
    expect(Object.fromEntries(done)).toEqual(Object.fromEntries(availableOperations.map(({ name }) => [name, true])));
    expect(missing(tally, wanted)).toEqual([]);
    expect(isRefused(tally)).toBe(true);
  });

  it('does the same to one host with an embedded database', async () => {
    const isEnough = (tally: Tally): boolean =>
      tally.of('operation: ') >= 12 && missing(tally, wantedOfOne).length === 0;
    const { violation, tally } = await soak({ ...limits, round: 4, operationsPerRound: 60, isEnough }, () => {});
    expect(violation?.message).toBeUndefined();
    expect(missing(tally, wantedOfOne)).toEqual([]);
  });
});
