import { Cron } from 'croner';

/** When something is due, by cron syntax in UTC: no time zones, no daylight saving, minute precision. */
export interface Schedule {
  /** Five fields, one space between them. */
  readonly text: string;
  /** The first time strictly after `after`; `undefined` when none is left (leap days beyond year 9999). */
  next(after: Date): Date | undefined;
}

export type ParsedSchedule =
  | { readonly ok: true; readonly value: Schedule | undefined }
  | { readonly ok: false; readonly problem: string; readonly hint: string };

const fieldNames = ['minute', 'hour', 'day of month', 'month', 'day of week'] as const;
const fieldRanges = ['0-59', '0-23', '1-31', '1-12', '0-7, 0 and 7 are Sunday'] as const;
/** Stands in for the other fields while one is tried alone. */
const anyTime: readonly string[] = ['*', '*', '*', '*', '*'];
const maxCharacters = 120;
const example = 'Write five fields: minute, hour, day of month, month, day of week. "0 0 * * *" is every midnight UTC.';

/** Five-field cron syntax. Empty means never. Nicknames, seconds and years are refused: one way to write a schedule is enough. */
export function parseSchedule(text: string): ParsedSchedule {
  const fields = text.split(/[ \t]+/).filter((field) => field !== '');
  if (fields.length === 0) return { ok: true, value: undefined };
  if (text.length > maxCharacters) return failed(`is longer than ${maxCharacters} characters`, example);
  if (text.includes('@')) return failed('uses a nickname', example);
  if (fields.length > 5) return failed(`has ${fields.length} fields, and 5 are all there are`, example);
  if (fields.length < 5) return failed(`has ${fields.length} of the 5 fields`, example);
  for (const [index, field] of fields.entries()) {
    const problem = tryPattern(anyTime.with(index, field).join(' '));
    if (problem === undefined && !/[?]/.test(field)) continue;
    const position = `has "${field}" as field ${index + 1} (${fieldNames[index]})`;
    return failed(position, `That field takes ${fieldRanges[index]}, with * , - and /. ${example}`);
  }
  const normal = fields.join(' ');
  const problem = tryPattern(normal);
  if (problem !== undefined) return failed(problem, example);
  const schedule = new CronSchedule(normal);
  if (schedule.next(new Date(0)) === undefined) return failed('never comes', 'Choose a day that its month has.');
  return { ok: true, value: schedule };
}

class CronSchedule implements Schedule {
  readonly text: string;
  readonly #cron: Cron;

  constructor(text: string) {
    this.text = text;
    this.#cron = newCron(text);
  }

  next(after: Date): Date | undefined {
    return this.#cron.nextRun(after) ?? undefined;
  }
}

const newCron = (text: string): Cron => new Cron(text, { mode: '5-part', timezone: 'UTC', paused: true });

function tryPattern(text: string): string | undefined {
  try {
    newCron(text);
    return undefined;
  } catch (error) {
    return `is not cron syntax (${error instanceof Error ? error.message : String(error)})`;
  }
}

const failed = (problem: string, hint: string): ParsedSchedule => ({ ok: false, problem, hint });

/** What is known of the runs of one schedule. */
export interface RunHistory {
  /** Before this nothing was due: the time the cluster was created or restored. */
  readonly since: Date;
  /** Begin of the last run that succeeded. */
  readonly lastSuccessAt: Date | undefined;
  /** Runs that failed since then, and the end of the last of them. */
  readonly failures: number;
  readonly lastFailureAt: Date | undefined;
}

export interface Due {
  /** The earliest time not yet answered by a successful run. In the past when one was missed. */
  readonly at: Date;
  /** When the scheduler may try: `at`, or later after failures. */
  readonly attemptAt: Date;
  readonly overdue: boolean;
}

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;

/**
 * When the next run is due. However many runs were missed, they are one run that is due: the first run that succeeds
 * answers all of them, because what counts is its begin.
 */
export function dueOf(schedule: Schedule, history: RunHistory, now: Date): Due | undefined {
  const answered = history.lastSuccessAt ?? history.since;
  const at = schedule.next(answered);
  if (at === undefined) return undefined;
  return { at, attemptAt: attemptAfter(at, history), overdue: now.getTime() > at.getTime() + graceMs(schedule, at) };
}

/** Half an interval, at most an hour: a run that waits this long is not merely slow. */
function graceMs(schedule: Schedule, at: Date): number {
  const following = schedule.next(at);
  const intervalMs = following === undefined ? hourMs : following.getTime() - at.getTime();
  return Math.min(hourMs, intervalMs / 2);
}

function attemptAfter(at: Date, history: RunHistory): Date {
  if (history.lastFailureAt === undefined || history.failures === 0) return at;
  const retryAt = new Date(history.lastFailureAt.getTime() + retryDelayMs(history.failures));
  return retryAt > at ? retryAt : at;
}

/** One minute after the first failure, twice as long after each further one, at most an hour. */
export function retryDelayMs(failures: number): number {
  return Math.min(hourMs, minuteMs * 2 ** Math.min(failures - 1, 6));
}

/** Something that must happen once in a period, such as reading every chunk back. */
export function periodDue(periodMs: number, history: RunHistory, now: Date): Due {
  const at = new Date((history.lastSuccessAt ?? history.since).getTime() + periodMs);
  return {
    at,
    attemptAt: attemptAfter(at, history),
    overdue: now.getTime() > at.getTime() + Math.min(hourMs * 24, periodMs / 2),
  };
}
