import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { dueOf, parseSchedule, periodDue, retryDelayMs, type RunHistory, type Schedule } from './schedule.ts';

function scheduleOf(text: string): Schedule {
  const parsed = parseSchedule(text);
  if (!parsed.ok || parsed.value === undefined) throw new Error(`"${text}" is no schedule`);
  return parsed.value;
}

const history = (since: string, more: Partial<RunHistory> = {}): RunHistory => ({
  since: new Date(since),
  lastSuccessAt: undefined,
  failures: 0,
  lastFailureAt: undefined,
  ...more,
});

const anyDate = fc.date({ min: new Date('2000-01-01'), max: new Date('2100-01-01'), noInvalidDate: true });
const anySchedule = fc
  .constantFrom('0 0 * * *', '*/5 * * * *', '30 2 * * *', '0 3 * * 0', '15 */6 1 * *', '* * * * *')
  .map(scheduleOf);

describe('parseSchedule', () => {
  it('reads midnight as midnight UTC whatever the time zone of the host', () => {
    expect(scheduleOf('0 0 * * *').next(new Date('2026-11-22T19:00:00Z'))).toEqual(new Date('2026-11-23T00:00:00Z'));
  });

  it('takes an empty text as never', () => {
    expect(parseSchedule('  ')).toEqual({ ok: true, value: undefined });
  });

  it('normalises spaces', () => {
    expect(scheduleOf(' 0   0\t* * * ').text).toBe('0 0 * * *');
  });

  it.each([
    ['61 * * * *', 'field 1 (minute)'],
    ['0 24 * * *', 'field 2 (hour)'],
    ['0 0 0 * *', 'field 3 (day of month)'],
    ['0 0 * 13 *', 'field 4 (month)'],
    ['0 0 * * 8', 'field 5 (day of week)'],
    ['0 ? * * *', 'field 2 (hour)'],
    ['*/0 * * * *', 'field 1 (minute)'],
    ['0 0 * *', '4 of the 5 fields'],
    ['0 0 0 * * *', '6 fields, and 5'],
    ['@daily', 'nickname'],
    ['0 0 30 2 *', 'never comes'],
    ['2026-01-01T00:00:00', '1 of the 5 fields'],
    [`${'1,'.repeat(100)}1 * * * *`, 'longer than 120'],
  ])('refuses %s and says where it is wrong', (text, problem) => {
    const parsed = parseSchedule(text);
    expect(parsed).toMatchObject({ ok: false, problem: expect.stringContaining(problem) });
  });

  it('answers every text with a schedule or a problem', () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.string({ maxLength: 130 }), fc.stringMatching(/^[0-9*,/LW#-]{1,6}( [0-9*,/LW#-]{1,4}){4}$/)),
        (text) => {
          const parsed = parseSchedule(text);
          expect(parsed.ok || (parsed.problem !== '' && parsed.hint !== '')).toBe(true);
        },
      ),
      { numRuns: 200 },
    );
  });

  it('always finds a next time that lies after the given one, on a full minute', () => {
    fc.assert(
      fc.property(anySchedule, anyDate, (schedule, after) => {
        const next = schedule.next(after)!;
        expect(next.getTime()).toBeGreaterThan(after.getTime());
        expect(next.getTime() % 60_000).toBe(0);
      }),
    );
  });
});

describe('dueOf', () => {
  const daily = scheduleOf('0 0 * * *');

  it('is due at the first time after the last success', () => {
    const due = dueOf(
      daily,
      history('2026-01-01T00:00:00Z', { lastSuccessAt: new Date('2026-11-22T00:00:03Z') }),
      new Date('2026-11-22T12:00:00Z'),
    );
    expect(due).toEqual({
      at: new Date('2026-11-23T00:00:00Z'),
      attemptAt: new Date('2026-11-23T00:00:00Z'),
      overdue: false,
    });
  });

  it('is overdue once more than the grace has passed', () => {
    const runs = history('2026-11-21T12:00:00Z');
    expect(dueOf(daily, runs, new Date('2026-11-22T00:59:00Z'))?.overdue).toBe(false);
    expect(dueOf(daily, runs, new Date('2026-11-22T01:00:01Z'))?.overdue).toBe(true);
  });

  it('waits longer after each failure, but never tries before the time', () => {
    const failed = history('2026-11-21T12:00:00Z', { failures: 3, lastFailureAt: new Date('2026-11-22T00:10:00Z') });
    expect(dueOf(daily, failed, new Date('2026-11-22T00:11:00Z'))?.attemptAt).toEqual(new Date('2026-11-22T00:14:00Z'));
  });

  it('makes any number of missed runs one run', () => {
    fc.assert(
      fc.property(anySchedule, anyDate, fc.integer({ min: 0, max: 400 * 86_400_000 }), (schedule, since, asleepMs) => {
        const now = new Date(since.getTime() + asleepMs);
        const due = dueOf(schedule, history(since.toISOString()), now)!;
        if (due.at > now) return;
        const after = dueOf(schedule, history(since.toISOString(), { lastSuccessAt: now }), now)!;
        expect(after.at.getTime()).toBeGreaterThan(now.getTime());
        expect(after.overdue).toBe(false);
      }),
    );
  });
});

describe('retryDelayMs', () => {
  it('grows from a minute to an hour and stays there', () => {
    expect([1, 2, 3, 6, 7, 50].map(retryDelayMs)).toEqual([60_000, 120_000, 240_000, 1_920_000, 3_600_000, 3_600_000]);
  });
});

describe('periodDue', () => {
  it('is due one period after the last success', () => {
    const runs = history('2026-01-01T00:00:00Z', { lastSuccessAt: new Date('2026-02-01T00:00:00Z') });
    expect(periodDue(30 * 86_400_000, runs, new Date('2026-02-10T00:00:00Z'))).toEqual({
      at: new Date('2026-03-03T00:00:00Z'),
      attemptAt: new Date('2026-03-03T00:00:00Z'),
      overdue: false,
    });
  });
});
