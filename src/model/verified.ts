import type { BackupSummary, LastDrill, Verified } from './backup.ts';
import { knownTime } from './clock-tolerance.ts';
import type { BackupId } from './identifiers.ts';

/** The part of a signed verification that this rule needs. `Names`: how a list of objects is told. */
export interface VerificationFacts<Names = readonly string[]> {
  readonly backups: readonly BackupId[];
  readonly level: Verified['level'];
  readonly at: string;
  readonly passed: boolean;
  /** Object names that were read; `null`: every object of its backups. */
  readonly objects: Names | null;
  readonly bad: Names;
  readonly drill: { readonly durationMs: number } | null;
}

interface BackupFacts {
  readonly summary: Pick<BackupSummary, 'id'>;
  readonly objects: ObjectNumbers;
}

/** Objects told by a number each, from 0 up: there may be millions of mentions. */
type ObjectNumbers = Uint32Array;

export interface FoldedVerifications {
  of(id: BackupId): { readonly verified: Verified | null; readonly lastDrill: LastDrill | null };
  readonly badObjects: ReadonlySet<number>;
  /** When each object was last read back and found good, in milliseconds since the epoch; NaN for never. */
  readonly readAt: Float64Array;
}

/**
 * When something was verified, by the clock of the store, which is one for all hosts; theirs may be wrong, and then a
 * failure of today must not hide behind a success "of next year". A success is as old as it may be, a failure as new.
 * The store's clock may be the host's, and wrong with it: a success that is of next year by both is older than everything else, so
 * that it hides nothing and is read again soon.
 */
export function timeByStore(
  { at, passed }: Pick<VerificationFacts, 'at' | 'passed'>,
  storedAt: Date,
  now?: Date,
): string {
  if (!passed) return storedAt.toISOString();
  const time = Date.parse(at) < storedAt.getTime() ? new Date(at) : storedAt;
  return (now === undefined ? time : knownTime(time, now)).toISOString();
}

/**
 * What all verifications together say about each backup. A backup counts as verified when its newest verification
 * passed, every object it needs was read back at some time, be it for an older backup that shares the object, and none
 * of them was found bad since, be it for another backup.
 */
export function foldVerifications(
  backups: readonly BackupFacts[],
  verifications: readonly VerificationFacts<ObjectNumbers>[],
  objectCount: number,
): FoldedVerifications {
  const ordered = inOrderOfTime(verifications);
  const objectsOf = new Map(backups.map(({ summary, objects }) => [summary.id, objects]));
  const readAt = new Float64Array(objectCount).fill(Number.NaN);
  const badObjects = new Set<number>();
  const lost = new Set<number>();
  for (const { at, passed, objects, backups: read, bad } of ordered) {
    const atMs = Date.parse(at);
    const lists = passed ? (objects === null ? read.map((id) => objectsOf.get(id) ?? noObjects) : [objects]) : [];
    for (const list of lists) {
      for (const object of list) {
        readAt[object] = atMs;
        lost.delete(object);
      }
    }
    for (const object of bad) {
      badObjects.add(object);
      if (!passed) lost.add(object);
    }
  }
  const newestOf = newestPerBackup(ordered);
  const drillOf = newestPerBackup(ordered.filter(({ drill }) => drill !== null));
  return {
    of: (id) => ({
      verified: verifiedOf(newestOf.get(id), objectsOf.get(id) ?? noObjects, readAt, lost),
      lastDrill: drillResult(drillOf.get(id)),
    }),
    badObjects,
    readAt,
  };
}

type NumberedFacts = VerificationFacts<ObjectNumbers>;

const noObjects = new Uint32Array();

/** Of one time, what failed is later. */
function inOrderOfTime(verifications: readonly NumberedFacts[]): NumberedFacts[] {
  return verifications
    .map((facts) => ({ facts, atMs: Date.parse(facts.at) }))
    .toSorted((a, b) => a.atMs - b.atMs || Number(b.facts.passed) - Number(a.facts.passed))
    .map(({ facts }) => facts);
}

function newestPerBackup(ordered: readonly NumberedFacts[]): Map<BackupId, NumberedFacts> {
  return new Map(ordered.flatMap((verification) => verification.backups.map((id) => [id, verification] as const)));
}

function verifiedOf(
  newest: NumberedFacts | undefined,
  objects: ObjectNumbers,
  readAt: Float64Array,
  lost: ReadonlySet<number>,
): Verified | null {
  if (newest === undefined || !newest.passed) return null;
  let oldest = Date.parse(newest.at);
  for (const object of objects) {
    const at = readAt[object]!;
    if (Number.isNaN(at) || (lost.size > 0 && lost.has(object))) return null;
    if (at < oldest) oldest = at;
  }
  return { at: newest.at, level: newest.level, oldestReadAt: new Date(oldest).toISOString() };
}

function drillResult(drill: NumberedFacts | undefined): LastDrill | null {
  return drill?.drill ? { at: drill.at, passed: drill.passed, durationMs: drill.drill.durationMs } : null;
}
