import type { CatalogEntry } from '#model/backup.ts';
import { clockToleranceMs, knownTime } from '#model/clock-tolerance.ts';
import { dueOf, periodDue, type Due, type RunHistory, type Schedule } from '#model/schedule.ts';
import type { Queries } from '#store/tables.ts';
import { listRuns, type Run, type RunKind } from '#store/runs.ts';
import type { Catalog } from './read-catalog.ts';

export interface ScheduleSettings {
  readonly backupSchedule: Schedule | undefined;
  readonly drillSchedule: Schedule | undefined;
  readonly pruneSchedule: Schedule | undefined;
  /** Every chunk is read back at least once in this time. */
  readonly verifyPeriodMs: number;
}

/** One schedule with what is known of its runs. */
export interface ScheduleState {
  readonly kind: RunKind;
  /** For people: cron text, or the period. `null`: not scheduled. */
  readonly schedule: string | null;
  readonly due: Due | undefined;
  readonly history: RunHistory;
  /** Newest first. */
  readonly runs: readonly Run[];
}

const runsShown = 20;

/**
 * The schedules, with histories from the database and the repository together: runs that failed are in the database
 * only. That a backup or a drill succeeded is what the repository here proves: who writes SQL can add a row, and the backup of
 * another host may lie in another repository. Only where that cannot be read is the database believed.
 *
 * `since`: the creation of the cluster or its restore, as the database says it. A creation that has not come yet would put
 * everything off until it has: nothing is known of when it was, so that all is due. `own`: when this process began what it knows to
 * have succeeded.
 */
export async function readSchedules(
  queries: Queries,
  catalog: Catalog | undefined,
  settings: ScheduleSettings,
  since: Date,
  now: Date,
  own: ReadonlyMap<RunKind, Date> = new Map(),
): Promise<Record<RunKind, ScheduleState>> {
  const entries =
    catalog?.backups
      .map(({ entry }) => entry)
      .filter(({ authentic, kind }) => authentic === true && kind !== 'safety') ?? [];
  const beganUntil = new Date(now.getTime() + clockToleranceMs);
  const dueSince = knownTime(since, now);
  const state = async (
    kind: RunKind,
    schedule: string | null,
    proved: Date | undefined,
    dueFor: (history: RunHistory) => Due | undefined,
  ): Promise<ScheduleState> => {
    const runs = await listRuns(queries, { kind, beganUntil, limit: runsShown });
    const needsProof = catalog !== undefined && (kind === 'backup' || kind === 'drill');
    const recorded = runs.filter(({ beganAt }) => !needsProof || isProved(beganAt, proved));
    const succeeded = recorded.find(({ outcome }) => outcome === 'succeeded')?.beganAt;
    const done = [proved, succeeded, own.get(kind)].filter((time) => time !== undefined && time <= beganUntil);
    const history = historyOf(runs, done.reduce(later, undefined), dueSince, beganUntil);
    return { kind, schedule, history, runs, due: dueFor(history) };
  };
  const { backupSchedule, drillSchedule, pruneSchedule, verifyPeriodMs } = settings;
  const days = Math.round(verifyPeriodMs / 86_400_000);
  return {
    backup: await state(
      'backup',
      backupSchedule?.text ?? null,
      newest(entries, beganUntil, ({ startedAt }) => startedAt),
      (history) => backupSchedule && dueOf(backupSchedule, history, now),
    ),
    drill: await state(
      'drill',
      drillSchedule?.text ?? null,
      newest(entries, beganUntil, ({ lastDrill }) => (lastDrill?.passed ? lastDrill.at : undefined)),
      (history) => drillSchedule && dueOf(drillSchedule, history, now),
    ),
    verify: await state('verify', `every chunk within ${days} days`, oldestRead(entries, now), (history) =>
      entries.length === 0
        ? undefined
        : periodDue(verifyPeriodMs / 2, { ...history, lastSuccessAt: oldestRead(entries, now) }, now),
    ),
    prune: await state(
      'prune',
      pruneSchedule?.text ?? null,
      undefined,
      (history) => pruneSchedule && dueOf(pruneSchedule, history, now),
    ),
  };
}

/** Backups with a chunk that was not read back in the last half of the period. */
export function dueForReading(catalog: Catalog, verifyPeriodMs: number, now: Date): string[] {
  const limit = now.getTime() - verifyPeriodMs / 2;
  return catalog.backups
    .filter(
      ({ entry }) =>
        entry.authentic === true && (entry.verified === null || Date.parse(entry.verified.oldestReadAt) <= limit),
    )
    .map(({ entry }) => entry.id);
}

/** By the clock of the store, which may be behind: by as much as clocks may differ, the row says it more exactly. */
const isProved = (beganAt: Date, proved: Date | undefined): boolean =>
  proved !== undefined && beganAt.getTime() <= proved.getTime() + clockToleranceMs;

function historyOf(runs: readonly Run[], lastSuccessAt: Date | undefined, since: Date, until: Date): RunHistory {
  const failed = runs.filter(
    (run) => run.outcome === 'failed' && (lastSuccessAt === undefined || run.beganAt > lastSuccessAt),
  );
  const [last] = failed;
  const endedAt = last?.endedAt ?? undefined;
  // An end that has not come yet would put off the next try until it has.
  const lastFailureAt = endedAt !== undefined && endedAt > until ? last?.beganAt : endedAt;
  return { since, lastSuccessAt, failures: failed.length, lastFailureAt };
}

function newest(
  entries: readonly CatalogEntry[],
  until: Date,
  timeOf: (entry: CatalogEntry) => string | undefined,
): Date | undefined {
  const times = entries.map((entry) => Date.parse(timeOf(entry) ?? '')).filter((time) => time <= until.getTime());
  return times.length === 0 ? undefined : new Date(Math.max(...times));
}

/** A backup that was never read back counts as read when it was made, so that its turn comes. */
function oldestRead(entries: readonly CatalogEntry[], now: Date): Date | undefined {
  const times = entries.map(({ verified, endedAt }) => knownTime(new Date(verified?.oldestReadAt ?? endedAt), now));
  return times.length === 0 ? undefined : new Date(Math.min(...times.map((time) => time.getTime())));
}

function later(a: Date | undefined, b: Date | undefined): Date | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return a > b ? a : b;
}
