import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { foldNamed } from './verified.fixture.ts';
import { timeByStore, type VerificationFacts } from './verified.ts';

const at = (day: number): string => new Date(Date.UTC(2026, 10, day)).toISOString();
const backup = (id: string, ...objects: string[]) => ({ id, objects });

function verification(day: number, parts: Partial<VerificationFacts>): VerificationFacts {
  return {
    backups: ['A'],
    level: 'all-chunks',
    at: at(day),
    passed: true,
    objects: null,
    bad: [],
    drill: null,
    ...parts,
  };
}

const [a, b] = [backup('A', 'x', 'y'), backup('B', 'y', 'z')];

describe('what verifications say of a backup', () => {
  it('is nothing where there is none', () => {
    const folded = foldNamed([a], []);
    expect(folded.of('A')).toEqual({ verified: null, lastDrill: null });
    expect(folded.badObjects.size + folded.readAt.size).toBe(0);
  });

  it('is the newest level, and the age of the chunk that was read longest ago', () => {
    const folded = foldNamed(
      [a, b],
      [
        verification(1, { backups: ['A'], level: 'new-chunks', objects: ['x', 'y'] }),
        verification(3, { backups: ['B'], level: 'new-chunks', objects: ['z'] }),
      ],
    );
    expect(folded.of('A').verified).toEqual({ at: at(1), level: 'new-chunks', oldestReadAt: at(1) });
    expect(folded.of('B').verified).toEqual({ at: at(3), level: 'new-chunks', oldestReadAt: at(1) });
  });

  it('is nothing as long as one of its objects was never read', () => {
    const folded = foldNamed([b], [verification(1, { backups: ['B'], level: 'new-chunks', objects: ['z'] })]);
    expect(folded.of('B').verified).toBeNull();
  });

  it('is nothing after one that failed, until another passes', () => {
    const failed = verification(2, { passed: false, bad: ['x'] });
    const before = foldNamed([a], [verification(1, {}), failed]);
    expect(before.of('A').verified).toBeNull();
    expect(before.badObjects).toEqual(new Set(['x']));
    // The failed one proves nothing of what it read.
    expect(before.readAt.get('y')).toBe(Date.parse(at(1)));

    const after = foldNamed([a], [verification(3, {}), verification(1, {}), failed]);
    expect(after.of('A').verified).toEqual({ at: at(3), level: 'all-chunks', oldestReadAt: at(3) });
    expect(after.badObjects).toEqual(new Set(['x']));
  });

  it('is nothing for a backup that shares an object found bad for another, until one reads it again', () => {
    const passed = verification(1, { backups: ['A', 'B'] });
    const failed = verification(2, { backups: ['A'], passed: false, bad: ['y'] });
    expect(foldNamed([a, b], [passed, failed]).of('B').verified).toBeNull();
    const again = verification(3, { backups: ['B'] });
    const after = foldNamed([a, b], [passed, failed, again]);
    expect([after.of('A').verified, after.of('B').verified?.at]).toEqual([null, at(3)]);
  });

  it('is nothing where one passed and one failed at the same moment', () => {
    const facts = [verification(1, {}), verification(1, { passed: false, bad: ['x'] })];
    for (const order of [facts, facts.toReversed()]) expect(foldNamed([a], order).of('A').verified).toBeNull();
  });

  it('counts a success as old, and a failure as new, as clock of host and store allow', () => {
    const stored = new Date(at(5));
    const times = (day: number) => [true, false].map((passed) => timeByStore({ at: at(day), passed }, stored));
    expect(times(9)).toEqual([at(5), at(5)]);
    expect(times(2)).toEqual([at(2), at(5)]);
  });

  it('counts a success of a time that has not come, by both clocks, as older than everything else', () => {
    const [stored, now] = [new Date(at(9)), new Date(at(5))];
    const success = verification(8, {});
    expect(timeByStore(success, stored, now)).toBe('1970-01-01T00:00:00.000Z');
    expect(timeByStore({ ...success, passed: false }, stored, now)).toBe(at(9));
    expect(timeByStore(success, stored, new Date(Date.parse(at(8)) - 600_000))).toBe(at(8));
    const counted = { ...success, at: timeByStore(success, stored, now) };
    expect(foldNamed([a], [verification(4, { passed: false, bad: ['x'] }), counted]).of('A').verified).toBeNull();
    expect(foldNamed([a], [counted]).of('A').verified?.oldestReadAt).toBe('1970-01-01T00:00:00.000Z');
    expect(foldNamed([a], [counted, verification(4, {})]).of('A').verified?.at).toBe(at(4));
  });

  it('remembers a bad object also of one that passed because another object served', () => {
    const folded = foldNamed([a], [verification(1, { bad: ['y'] })]);
    expect(folded.of('A').verified).toMatchObject({ level: 'all-chunks' });
    expect(folded.badObjects).toEqual(new Set(['y']));
  });

  it('names the newest drill, also a failed one, whatever was verified since', () => {
    const folded = foldNamed(
      [a],
      [
        verification(1, { level: 'restored', drill: { durationMs: 5 } }),
        verification(2, { level: 'restored', passed: false, drill: { durationMs: 7 } }),
        verification(3, {}),
      ],
    );
    expect(folded.of('A').lastDrill).toEqual({ at: at(2), passed: false, durationMs: 7 });
    expect(folded.of('A').verified).toMatchObject({ level: 'all-chunks', at: at(3) });
  });

  it('does not depend on the order in which verifications are read', () => {
    const facts = fc.record({
      day: fc.integer({ min: 1, max: 28 }),
      backups: fc.subarray(['A', 'B'], { minLength: 1 }),
      passed: fc.boolean(),
      objects: fc.option(fc.subarray(['x', 'y', 'z']), { nil: null }),
    });
    fc.assert(
      fc.property(fc.uniqueArray(facts, { selector: ({ day }) => day }), fc.array(fc.nat()), (list, order) => {
        const all = list.map(({ day, ...parts }) => verification(day, parts));
        const shuffled = all.map((each, index) => ({ each, at: order[index] ?? 0 })).toSorted((l, r) => l.at - r.at);
        const [first, second] = [all, shuffled.map(({ each }) => each)].map((each) => foldNamed([a, b], each));
        expect([first!.of('A'), first!.of('B')]).toEqual([second!.of('A'), second!.of('B')]);
        expect(Object.fromEntries(first!.readAt)).toEqual(Object.fromEntries(second!.readAt));
      }),
    );
  });
});
