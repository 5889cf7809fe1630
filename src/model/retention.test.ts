import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decideRetention, type RetainableBackup, type RetentionPolicy } from './retention.ts';

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
const now = new Date('2026-11-22T12:00:00Z');

const backup = (sequence: number, startedAt: string, more: Partial<RetainableBackup> = {}): RetainableBackup => ({
  id: `${sequence}`,
  kind: 'scheduled',
  sequence,
  startedAt: new Date(startedAt).toISOString(),
  verified: true,
  drilled: false,
  ...more,
});

const keptOf = (backups: readonly RetainableBackup[], policy: RetentionPolicy, at = now): string[] =>
  decideRetention(backups, policy, at)
    .filter(({ keep }) => keep)
    .map(({ id }) => id);

/** One each day at midnight, the newest today. */
const daily = (days: number): RetainableBackup[] =>
  Array.from({ length: days }, (_, index) =>
    backup(index + 1, new Date(Date.parse('2026-11-22T00:00:00Z') - (days - 1 - index) * dayMs).toISOString()),
  );

describe('decideRetention', () => {
  it('keeps everything without a policy, and says so', () => {
    expect(decideRetention(daily(3), {}, now).map(({ reasons }) => reasons.at(-1))).toEqual(Array(3).fill('no-policy'));
    expect(keptOf(daily(40), { minimumAgeMs: dayMs })).toHaveLength(40);
  });

  it('keeps the newest of each of the last days, weeks and months, each rule on its own', () => {
    const kept = decideRetention(daily(400), { daily: 3, weekly: 3, monthly: 3, yearly: 5 }, now).filter(
      ({ keep }) => keep,
    );
    const dayOf = new Map(daily(400).map(({ id, startedAt }) => [id, startedAt.slice(0, 10)]));
    expect(kept.map(({ id, reasons }) => [dayOf.get(id), reasons])).toEqual([
      ['2026-11-22', ['newest', 'newest-verified', 'daily', 'weekly', 'monthly', 'yearly']],
      ['2026-11-21', ['daily']],
      ['2026-11-20', ['daily']],
      ['2026-11-15', ['weekly']],
      ['2026-11-08', ['weekly']],
      ['2026-10-31', ['monthly']],
      ['2026-09-30', ['monthly']],
      ['2025-12-31', ['yearly']],
    ]);
  });

  it('begins weeks on Monday', () => {
    const backups = [
      backup(1, '2026-11-15T23:00:00Z'),
      backup(2, '2026-11-16T00:00:00Z'),
      backup(3, '2026-11-17T00:00:00Z'),
    ];
    expect(keptOf(backups, { weekly: 2 })).toEqual(['3', '1']);
  });

  it('keeps the newest, the newest that was read back and the newest that was drilled, whatever the numbers', () => {
    const backups = daily(10).map((each, index) => ({ ...each, verified: index < 5, drilled: index === 2 }));
    const decisions = decideRetention(backups, { safety: 0, yearly: 1 }, now).filter(({ keep }) => keep);
    expect(decisions).toContainEqual({ id: '10', keep: true, reasons: ['newest', 'not-counted'] });
    expect(decisions).toContainEqual({ id: '5', keep: true, reasons: ['newest-verified', 'yearly'] });
    expect(decisions).toContainEqual({ id: '3', keep: true, reasons: ['newest-drilled'] });
  });

  it('keeps safety backups by their own number, and lets them push nothing out', () => {
    const safety = [11, 12, 13].map((sequence) => backup(sequence, '2026-11-22T06:00:00Z', { kind: 'safety' }));
    expect(keptOf([...daily(10), ...safety], { last: 2, safety: 1 })).toEqual(['13', '10', '9']);
    expect(keptOf([...daily(10), ...safety], { last: 2 })).toEqual(['13', '12', '11', '10', '9']);
  });

  it('keeps both sides of a fork, and counts them once', () => {
    const forked = backup(3, '2026-11-15T00:00:00Z', { id: '3-other' });
    const kept = keptOf([...daily(10), forked], { last: 2 });
    expect(kept).toEqual(['10', '9', '3-other', '3']);
    const newestForked = backup(10, '2026-11-22T00:00:00Z', { id: '10-other' });
    expect(keptOf([...daily(10), newestForked], { last: 2 })).toEqual(['10-other', '10', '9']);
  });

  it('measures the minimum age from the newest backup, so that time alone makes nothing old', () => {
    expect(keptOf(daily(10), { last: 1, minimumAgeMs: 3 * dayMs })).toEqual(['10', '9', '8']);
    const muchLater = new Date('2030-01-01T00:00:00Z');
    expect(keptOf(daily(10), { last: 1, minimumAgeMs: 3 * dayMs }, muchLater)).toEqual(['10', '9', '8']);
  });

  it.each([{ last: 0 }, { last: 0, daily: 0, yearly: 0 }, { hourly: 0, safety: 3, minimumAgeMs: dayMs }])(
    'refuses %j, which would keep nothing',
    (policy) => {
      expect(() => decideRetention(daily(3), policy, now)).toThrow(
        expect.objectContaining({ code: 'configuration' }) as Error,
      );
    },
  );

  it('takes the clocks of the fewest for wrong', () => {
    const backups = daily(30);
    const wrong = backups.map((each) =>
      each.sequence === 20 ? { ...each, startedAt: '2019-01-01T00:00:00.000Z' } : each,
    );
    expect(keptOf(wrong, { daily: 15 })).toEqual(
      keptOf(
        backups.filter(({ sequence }) => sequence !== 20),
        { daily: 15 },
      ),
    );
  });

  it('keeps everything on a host whose own clock is far behind', () => {
    expect(keptOf(daily(30), { daily: 5, yearly: 1 }, new Date('1970-01-02T00:00:00Z'))).toHaveLength(30);
  });
});

const anyPolicy = fc
  .record(
    Object.fromEntries(
      ['last', 'hourly', 'daily', 'weekly', 'monthly', 'yearly', 'safety'].map((rule) => [rule, fc.nat({ max: 6 })]),
    ),
    { requiredKeys: [] },
  )
  .chain((numbers) =>
    fc
      .option(fc.integer({ min: hourMs, max: 40 * dayMs }), { nil: undefined })
      .map((minimumAgeMs): RetentionPolicy => ({ ...numbers, minimumAgeMs })),
  )
  .filter((policy) => {
    const { safety: _, minimumAgeMs: __, ...counts } = policy;
    const numbers = Object.values(counts).filter((number) => number !== undefined);
    return numbers.length === 0 || numbers.some((number) => number > 0);
  });

const anyMore = fc.record({
  kind: fc.constantFrom('scheduled' as const, 'manual' as const, 'safety' as const),
  verified: fc.boolean(),
  drilled: fc.boolean(),
});

/** Clocks that agree: the times go up with the sequence. */
const orderedHistory = fc
  .array(fc.tuple(fc.integer({ min: 1, max: 20 * 24 }), anyMore), { maxLength: 40 })
  .map((steps) => {
    let timeMs = now.getTime();
    return steps.map(([hours, more], index) => {
      timeMs -= hours * hourMs;
      return backup(steps.length - index, new Date(timeMs).toISOString(), more);
    });
  });

/** Any clocks, forks too. */
const anyHistory = fc
  .array(
    fc.tuple(
      fc.integer({ min: 1, max: 15 }),
      fc.date({ min: new Date('1970-01-01'), max: new Date('2100-01-01'), noInvalidDate: true }),
      anyMore,
    ),
    { maxLength: 25 },
  )
  .map((backups) =>
    backups.map(([sequence, date, more], index) => ({
      ...backup(sequence, date.toISOString(), more),
      id: `${sequence}-${index}`,
    })),
  );

describe('properties of retention', () => {
  it('hold for any clocks: the newest, the newest that was read back, and forks stay; the order given does not matter', () => {
    fc.assert(
      fc.property(anyHistory, anyPolicy, (backups, policy) => {
        const decisions = decideRetention(backups, policy, now);
        const kept = new Set(decisions.filter(({ keep }) => keep).map(({ id }) => id));
        expect(decisions).toHaveLength(backups.length);
        expect(decideRetention(backups.toReversed(), policy, now)).toEqual(decisions);
        const highest = Math.max(...backups.map(({ sequence }) => sequence));
        expect(backups.length === 0 || backups.some(({ id, sequence }) => sequence === highest && kept.has(id))).toBe(
          true,
        );
        expect(backups.some(({ verified }) => verified)).toBe(
          backups.some(({ id, verified }) => verified && kept.has(id)),
        );
        const ordinary = backups.filter(({ kind, verified }) => kind !== 'safety' && verified);
        expect(ordinary.length === 0 || ordinary.some(({ id }) => kept.has(id))).toBe(true);
        const forked = backups.filter(
          ({ sequence }) => backups.filter((other) => other.sequence === sequence).length > 1,
        );
        expect(forked.filter(({ id }) => !kept.has(id))).toEqual([]);
        expect(decisions.every(({ keep, reasons }) => keep === reasons.length > 0)).toBe(true);
      }),
      { numRuns: 300 },
    );
  });

  it('is idempotent: what was kept is kept again', () => {
    fc.assert(
      fc.property(orderedHistory, anyPolicy, (backups, policy) => {
        const kept = keptOf(backups, policy);
        expect(
          keptOf(
            backups.filter(({ id }) => kept.includes(id)),
            policy,
          ),
        ).toEqual(kept);
      }),
      { numRuns: 300 },
    );
  });

  it('is monotone: a higher number, or a higher age, removes nothing more', () => {
    const rule = fc.constantFrom('last', 'hourly', 'daily', 'weekly', 'monthly', 'yearly', 'safety', 'minimumAgeMs');
    fc.assert(
      fc.property(anyHistory, anyPolicy, rule, fc.nat({ max: 5 }), (backups, policy, name, more) => {
        fc.pre(policy[name] !== undefined);
        const higher = { ...policy, [name]: policy[name] + more * (name === 'minimumAgeMs' ? dayMs : 1) };
        const kept = new Set(keptOf(backups, higher));
        expect(keptOf(backups, policy).filter((id) => !kept.has(id))).toEqual([]);
      }),
      { numRuns: 300 },
    );
  });

  it('lets backups that were not read back, and safety backups, push nothing out', () => {
    fc.assert(
      fc.property(orderedHistory, anyPolicy, fc.boolean(), (backups, policy, safety) => {
        const isGuest = ({ kind, verified }: RetainableBackup): boolean =>
          safety ? kind === 'safety' : !verified && kind !== 'safety';
        const without = keptOf(
          backups.filter((each) => !isGuest(each)),
          { ...policy, minimumAgeMs: undefined },
        );
        const kept = new Set(keptOf(backups, { ...policy, minimumAgeMs: undefined }));
        const wanted = decideRetention(
          backups.filter((each) => !isGuest(each)),
          { ...policy, minimumAgeMs: undefined },
          now,
        );
        // The newest of all may have become another.
        const lost = wanted.filter(
          ({ id, reasons }) =>
            !kept.has(id) && reasons.some((reason) => reason !== 'newest' && reason !== 'newest-verified'),
        );
        expect(lost).toEqual([]);
        expect(without.length === 0 || kept.size > 0).toBe(true);
      }),
      { numRuns: 300 },
    );
  });

  it('lets backups of the future push nothing out by any rule that goes by time', () => {
    const future = fc.array(fc.tuple(fc.integer({ min: 2, max: 30_000 }), fc.nat({ max: 40 })), {
      minLength: 1,
      maxLength: 5,
    });
    fc.assert(
      fc.property(orderedHistory, anyPolicy, future, (backups, policy, wrong) => {
        const timed = { ...policy, last: undefined, minimumAgeMs: undefined, safety: undefined, yearly: 2 };
        const spread = backups.map((each) => ({ ...each, sequence: each.sequence * 100 }));
        const strange = wrong.map(([days, position], index) => ({
          ...backup(position * 100 + index + 1, new Date(now.getTime() + days * dayMs).toISOString()),
          id: `wrong-${index}`,
        }));
        const before = decideRetention(spread, timed, now);
        const kept = new Set(keptOf([...spread, ...strange], timed));
        const byTime = before.filter(({ reasons }) =>
          reasons.some((reason) => ['hourly', 'daily', 'weekly', 'monthly', 'yearly'].includes(reason)),
        );
        for (const { id } of byTime) expect(kept.has(id)).toBe(true);
      }),
      { numRuns: 300 },
    );
  });
});
