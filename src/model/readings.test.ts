import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { idleVerifications, readingsToSpellOut } from './readings.ts';
import { foldNamed } from './verified.fixture.ts';
import type { VerificationFacts } from './verified.ts';

const anyName = fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f');
const anyBackupId = fc.constantFrom('1', '2', '3', '4');
const anyBackups = fc.uniqueArray(fc.record({ id: anyBackupId, objects: fc.uniqueArray(anyName) }), {
  selector: ({ id }) => id,
  maxLength: 4,
});

const anyVerification: fc.Arbitrary<VerificationFacts> = fc.record({
  backups: fc.uniqueArray(anyBackupId, { minLength: 1 }),
  level: fc.constantFrom('new-chunks' as const, 'all-chunks' as const, 'restored' as const),
  at: fc.nat({ max: 20 }).map((hour) => new Date(hour * 3_600_000).toISOString()),
  passed: fc.boolean(),
  objects: fc.option(fc.uniqueArray(anyName)),
  bad: fc.uniqueArray(anyName, { maxLength: 1 }),
  drill: fc.constant(null),
});

/** All that can be said of the backups which stay, and of their objects. */
function said(
  kept: readonly { readonly id: string; readonly objects: readonly string[] }[],
  all: readonly { readonly id: string; readonly objects: readonly string[] }[],
  verifications: readonly VerificationFacts[],
) {
  const folded = foldNamed(all, verifications);
  const needed = [...new Set(kept.flatMap(({ objects }) => objects))].toSorted();
  return {
    backups: kept.map(({ id }) => folded.of(id)),
    readAt: needed.map((name) => folded.readAt.get(name)),
    bad: needed.filter((name) => folded.badObjects.has(name)),
  };
}

const hourOf = (at: string): number => Date.parse(at) / 3_600_000;

describe('when backups go', () => {
  it('everything that was known of the others is still known', () => {
    fc.assert(
      fc.property(
        anyBackups,
        fc.array(anyVerification, { maxLength: 6 }),
        fc.nat({ max: 15 }),
        (backups, given, mask) => {
          // Verifications of one moment may be taken in any order.
          const verifications = given.map((each, index) => ({
            ...each,
            at: new Date((hourOf(each.at) * 10 + index) * 1000).toISOString(),
          }));
          const kept = backups.filter((_, index) => (mask >> index) % 2 === 0);
          const removed = backups.filter((_, index) => (mask >> index) % 2 === 1);
          const before = said(kept, backups, verifications);

          const spelled = readingsToSpellOut(kept, removed, verifications).map(
            ({ of, backups: read, objects }): VerificationFacts => ({ ...of, backups: read, objects, bad: [] }),
          );
          const all = [...verifications, ...spelled];
          expect(said(kept, kept, all)).toEqual(before);
          // Spelled out once, there is nothing left to say.
          expect(readingsToSpellOut(kept, removed, all)).toEqual([]);

          const idle = new Set(idleVerifications(kept, all));
          const left = all.filter((verification) => !idle.has(verification));
          expect(said(kept, kept, left)).toEqual(before);
          expect(idleVerifications(kept, left)).toEqual([]);
        },
      ),
      { numRuns: 500 },
    );
  });

  it('what a reading of everything in them said of shared objects is spelled out', () => {
    const reading: VerificationFacts = {
      backups: ['1'],
      level: 'all-chunks',
      at: '2026-11-22T00:00:00.000Z',
      passed: true,
      objects: null,
      bad: [],
      drill: null,
    };
    const spelled = readingsToSpellOut(
      [{ id: '2', objects: ['b', 'c'] }],
      [{ id: '1', objects: ['a', 'b'] }],
      [reading],
    );
    expect(spelled).toEqual([{ of: reading, backups: ['1'], objects: ['b'] }]);
  });
});
