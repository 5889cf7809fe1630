import type { BackupSummary, LastDrill, Verified } from './backup.ts';
import type { BackupId } from './identifiers.ts';

/** The part of a signed verification that this rule needs. */
export interface VerificationFacts {
  readonly backups: readonly BackupId[];
  readonly level: Verified['level'];
  readonly at: string;
  readonly passed: boolean;
  /** Object names that were read; `null`: every object of its backups. */
  readonly objects: readonly string[] | null;
  readonly bad: readonly string[];
  readonly drill: { readonly durationMs: number } | null;
}

interface BackupFacts {
  readonly summary: Pick<BackupSummary, 'id'>;
  readonly objects: readonly { readonly name: string }[];
}

export interface FoldedVerifications {
  of(id: BackupId): { readonly verified: Verified | null; readonly lastDrill: LastDrill | null };
  readonly badObjects: ReadonlySet<string>;
  /** When each object was last read back and found good, in milliseconds since the epoch. */
  readonly readAt: ReadonlyMap<string, number>;
}

/**
 * When something was verified, by the clock of the store, which is one for all hosts; theirs may be wrong, and then a
 * failure of today must not hide behind a success "of next year". A success is as old as it may be, a failure as new.
 */
export function timeByStore({ at, passed }: Pick<VerificationFacts, 'at' | 'passed'>, storedAt: Date): string {
  return passed && Date.parse(at) < storedAt.getTime() ? at : storedAt.toISOString();
}

/**
 * What all verifications together say about each backup. A backup counts as verified when its newest verification
 * passed, every object it needs was read back at some time, be it for an older backup that shares the object, and none
 * of them was found bad since, be it for another backup.
 */
export function foldVerifications(
  backups: readonly BackupFacts[],
  verifications: readonly VerificationFacts[],
): FoldedVerifications {
  const ordered = verifications.toSorted(
    (a, b) => Date.parse(a.at) - Date.parse(b.at) || Number(b.passed) - Number(a.passed),
  );
  const objectsOf = new Map(backups.map(({ summary, objects }) => [summary.id, objects]));
  const namesOf = (id: BackupId): readonly string[] => (objectsOf.get(id) ?? []).map(({ name }) => name);
  const readAt = new Map<string, number>();
  const badObjects = new Set<string>();
  const lost = new Set<string>();
  for (const verification of ordered) {
    const at = Date.parse(verification.at);
    for (const name of verification.objects ?? verification.backups.flatMap(namesOf)) {
      if (!verification.passed) continue;
      readAt.set(name, at);
      lost.delete(name);
    }
    for (const name of verification.bad) {
      badObjects.add(name);
      if (!verification.passed) lost.add(name);
    }
  }
  const newestOf = newestPerBackup(ordered);
  const drillOf = newestPerBackup(ordered.filter(({ drill }) => drill !== null));
  return {
    of: (id) => ({
      verified: verifiedOf(newestOf.get(id), objectsOf.get(id) ?? [], readAt, lost),
      lastDrill: drillResult(drillOf.get(id)),
    }),
    badObjects,
    readAt,
  };
}

function newestPerBackup(ordered: readonly VerificationFacts[]): Map<BackupId, VerificationFacts> {
  return new Map(ordered.flatMap((verification) => verification.backups.map((id) => [id, verification] as const)));
}

function verifiedOf(
  newest: VerificationFacts | undefined,
  objects: BackupFacts['objects'],
  readAt: ReadonlyMap<string, number>,
  lost: ReadonlySet<string>,
): Verified | null {
  if (newest === undefined || !newest.passed) return null;
  let oldest = Date.parse(newest.at);
  for (const { name } of objects) {
    const at = readAt.get(name);
    if (at === undefined || (lost.size > 0 && lost.has(name))) return null;
    if (at < oldest) oldest = at;
  }
  return { at: newest.at, level: newest.level, oldestReadAt: new Date(oldest).toISOString() };
}

function drillResult(drill: VerificationFacts | undefined): LastDrill | null {
  return drill?.drill ? { at: drill.at, passed: drill.passed, durationMs: drill.drill.durationMs } : null;
}
