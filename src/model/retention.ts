import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import type { BackupKind } from './backup.ts';
import type { BackupId } from './identifiers.ts';
import { inOrder } from './in-order.ts';

/** How many backups to keep, by each rule on its own; a backup that any rule wants stays. Absent: the rule does not exist. */
export interface RetentionPolicy {
  readonly last?: number | undefined;
  readonly hourly?: number | undefined;
  readonly daily?: number | undefined;
  readonly weekly?: number | undefined;
  readonly monthly?: number | undefined;
  readonly yearly?: number | undefined;
  /** Protects what is younger; it never removes anything by itself. */
  readonly minimumAgeMs?: number | undefined;
  /** Safety backups, which no other number counts. */
  readonly safety?: number | undefined;
}

/** The part of a catalogue entry that the rules go by. */
export interface RetainableBackup {
  readonly id: BackupId;
  readonly kind: BackupKind;
  readonly sequence: number;
  readonly startedAt: string;
  /** Whether all of its objects were read back. */
  readonly verified: boolean;
  /** Whether a drill of it passed. */
  readonly drilled: boolean;
}

export const keepReasons = [
  'newest',
  'newest-verified',
  'newest-drilled',
  'fork',
  'no-policy',
  'minimum-age',
  'last',
  'hourly',
  'daily',
  'weekly',
  'monthly',
  'yearly',
  'safety',
  'not-counted',
] as const;

export type KeepReason = (typeof keepReasons)[number];

export interface RetentionDecision {
  readonly id: BackupId;
  readonly keep: boolean;
  /** Why it stays; empty for one that no rule wants. */
  readonly reasons: readonly KeepReason[];
}

const dayMs = 86_400_000;
const timeRules = ['hourly', 'daily', 'weekly', 'monthly', 'yearly'] as const;
const countRules = ['last', ...timeRules] as const;

const bucketOf: Readonly<Record<(typeof timeRules)[number], (timeMs: number) => string>> = {
  hourly: (timeMs) => new Date(timeMs).toISOString().slice(0, 13),
  daily: (timeMs) => new Date(timeMs).toISOString().slice(0, 10),
  // The first of January 1970 was a Thursday; weeks begin on Mondays.
  weekly: (timeMs) => String(Math.floor((Math.floor(timeMs / dayMs) + 3) / 7)),
  monthly: (timeMs) => new Date(timeMs).toISOString().slice(0, 7),
  yearly: (timeMs) => new Date(timeMs).toISOString().slice(0, 4),
};

/** A backup with the time that the rules take it for, and whether that time may count. */
interface Dated extends RetainableBackup {
  readonly timeMs: number;
  readonly wellDated: boolean;
}

/**
 * Which backups stay, newest first. Order is the signed sequence; clocks only say which hour, day or year a backup
 * stands for, and one that contradicts the order of the others, or lies in the future, stands for none. A backup that
 * was never read back counts for nothing and pushes nothing out; it stays for as long as it would if it counted.
 *
 * Throws `configuration` for a policy that would keep nothing.
 */
export function decideRetention(
  backups: readonly RetainableBackup[],
  policy: RetentionPolicy,
  now: Date,
): RetentionDecision[] {
  refuseEmptyPolicy(policy);
  const dated = dateBackups(backups.toSorted(newestFirst), now);
  const reasons = new Map<BackupId, Set<KeepReason>>(dated.map(({ id }) => [id, new Set()]));
  const keep = (reason: KeepReason, kept: Iterable<Dated | undefined>): void => {
    for (const backup of kept) if (backup !== undefined) reasons.get(backup.id)!.add(reason);
  };
  const ordinary = dated.filter(({ kind }) => kind !== 'safety');
  const safety = dated.filter(({ kind }) => kind === 'safety');
  keepAlways(dated, ordinary, keep);
  keep('minimum-age', youngest(dated, policy.minimumAgeMs, now));
  keepByNumbers(ordinary, policy, keep);
  if (policy.safety === undefined) keep('no-policy', safety);
  else keepLast(safety, policy.safety, 'safety', keep);
  return dated.map(({ id }) => {
    const found = [...reasons.get(id)!].toSorted((a, b) => keepReasons.indexOf(a) - keepReasons.indexOf(b));
    return { id, keep: found.length > 0, reasons: found };
  });
}

type Keep = (reason: KeepReason, kept: Iterable<Dated | undefined>) => void;

/** `configuration` where numbers are given and all of them are 0: that is a typo, and not a wish. */
export function refuseEmptyPolicy(policy: RetentionPolicy): void {
  const numbers = countRules.map((rule) => policy[rule]).filter((number) => number !== undefined);
  if (numbers.length === 0 || numbers.some((number) => number > 0)) return;
  throw new EnclaveManagerError('configuration', 'the retention policy would keep no backup: every number of it is 0', {
    hint: 'Set at least one of ENCLAVE_MANAGER_KEEP_LAST … _KEEP_YEARLY to 1 or more, or unset them all to keep everything.',
  });
}

/** What no policy removes: the newest, the newest proof, and both sides of a fork, of which nobody knows the right one. */
function keepAlways(all: readonly Dated[], ordinary: readonly Dated[], keep: Keep): void {
  const isVerified = ({ verified }: Dated): boolean => verified;
  keep('newest', [all[0], ordinary[0]]);
  keep('newest-verified', [ordinary.find(isVerified) ?? all.find(isVerified)]);
  keep('newest-drilled', [ordinary.find(({ drilled, verified }) => drilled && verified)]);
  const bySequence = Map.groupBy(all, ({ sequence }) => sequence);
  for (const same of bySequence.values()) if (same.length > 1) keep('fork', same);
}

function keepByNumbers(ordinary: readonly Dated[], policy: RetentionPolicy, keep: Keep): void {
  if (countRules.every((rule) => policy[rule] === undefined)) return keep('no-policy', ordinary);
  keepLast(ordinary, policy.last ?? 0, 'last', keep);
  for (const rule of timeRules) keepByTime(ordinary, policy[rule] ?? 0, rule, keep);
}

/** The two sides of a fork are one in the count. */
function keepLast(backups: readonly Dated[], wanted: number, reason: KeepReason, keep: Keep): void {
  const counted = new Set<number>();
  for (const backup of backups) {
    if (counted.size >= wanted) return;
    if (backup.verified) counted.add(backup.sequence);
    keep(backup.verified ? reason : 'not-counted', [backup]);
  }
}

/** The newest of each of the last hours, days … that have a backup. */
function keepByTime(backups: readonly Dated[], wanted: number, rule: (typeof timeRules)[number], keep: Keep): void {
  let counted = 0;
  let taken: string | undefined;
  for (const backup of backups) {
    if (counted >= wanted) return;
    const bucket = bucketOf[rule](backup.timeMs);
    if (bucket === taken) continue;
    if (!backup.verified || !backup.wellDated) {
      keep('not-counted', [backup]);
      continue;
    }
    taken = bucket;
    counted += 1;
    keep(rule, [backup]);
  }
}

/** Measured from the newest backup back: where backups have stopped, time alone makes nothing old. */
function youngest(dated: readonly Dated[], minimumAgeMs: number | undefined, now: Date): Dated[] {
  if (minimumAgeMs === undefined) return [];
  const newest = dated.find(({ wellDated }) => wellDated)?.timeMs ?? Number.NEGATIVE_INFINITY;
  const limit = Math.min(now.getTime(), newest) - minimumAgeMs;
  return dated.filter(({ timeMs }) => timeMs > limit);
}

/** Wrong clocks lose against the order of the sequence: those of the fewest backups are taken for wrong. */
function dateBackups(newestFirstBackups: readonly RetainableBackup[], now: Date): Dated[] {
  const oldestFirst = newestFirstBackups.toReversed();
  const times = oldestFirst.map(({ startedAt }) => Date.parse(startedAt));
  const plausible = times.map((time) => (time > now.getTime() + dayMs ? undefined : time));
  const ordered = inOrder(plausible);
  const dated = oldestFirst.map((backup, index) => {
    const wellDated = ordered.has(index);
    return { ...backup, wellDated, timeMs: wellDated ? times[index]! : neighbourTime(times, ordered, index) };
  });
  return dated.toReversed();
}

/** The time of the next newer backup whose clock was right, else of the next older one. */
function neighbourTime(times: readonly number[], ordered: ReadonlySet<number>, index: number): number {
  for (let newer = index + 1; newer < times.length; newer += 1) if (ordered.has(newer)) return times[newer]!;
  for (let older = index - 1; older >= 0; older -= 1) if (ordered.has(older)) return times[older]!;
  return times[index]!;
}

function newestFirst(a: RetainableBackup, b: RetainableBackup): number {
  return b.sequence - a.sequence || compare(b.startedAt, a.startedAt) || compare(b.id, a.id);
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
