/**
 * The rules by which backups and prune never lose an object that a listed backup needs. Operations and the model test
 * (`prune-model.test.ts`) call the same functions. Why they suffice: docs/decisions/025-prune-in-two-phases.md.
 *
 * Object names are `<id>.<object>`; ages are measured by the store's or the database server's clock, never by a host's.
 */

/** No manager may be set to a shorter grace, so that a backup can rely on it whatever the pruning host is set to. */
export const minimumGraceMs = 24 * 3_600_000;

/**
 * Whether a backup of this age may still write its manifest. What it took for stored was not condemned when it began,
 * so it lives for a grace from then on: half of that is for the backup, half for its manifest to arrive.
 */
export function mayCommit(ageMs: number, graceMs: number = minimumGraceMs): boolean {
  return ageMs < graceMs / 2;
}

/** Whether a backup may name an object that it did not store itself. */
export function mayReuse(
  name: string,
  facts: { isCondemned(name: string): boolean; isBad(name: string): boolean },
): boolean {
  return !facts.isCondemned(name) && !facts.isBad(name);
}

/** Of the objects that a manifest names, those that are gone although it is written: it must not stay listed. */
export function missingObjects(named: Iterable<string>, isPresent: (name: string) => boolean): string[] {
  return [...named].filter((name) => !isPresent(name));
}

/** What prune knows of the backups that stay. */
export interface KeptObjects {
  /** Whether a backup that stays names exactly this object. */
  isNamed(name: string): boolean;
  /** The objects that backups which stay name for a chunk id: more than one after a chunk was healed. */
  namedFor(id: string): readonly string[];
}

/** First phase: what no backup names is recorded, and no backup builds on it from then on. */
export function mayCondemn(name: string, kept: KeptObjects, isCondemned: (name: string) => boolean): boolean {
  return !kept.isNamed(name) && !isCondemned(name);
}

/** Whether everything that was condemned then may be deleted now. Both are modification times given by the store. */
export function graceIsOver(condemnedAtMs: number, nowMs: number, graceMs: number): boolean {
  return nowMs - condemnedAtMs >= graceMs;
}

/** What is needed to judge one condemned object that is past its grace. */
export interface DeletionFacts {
  readonly kept: KeptObjects;
  /** Objects with the same rows that lie there and are not past a grace of their own: a backup under way may name them. */
  youngFor(id: string): readonly string[];
  /** Whether a listed backup's reading found it good after the object in question was condemned. */
  wasReadGoodSince(name: string): boolean;
}

/**
 * Second phase, after the backups were listed again. Another object with the same rows may be what a backup lives on
 * since its own went bad: it goes only when all that backups name for those rows, or may be about to name, were read
 * back good since it was condemned.
 */
export function mayDelete(name: string, { kept, youngFor, wasReadGoodSince }: DeletionFacts): boolean {
  const id = chunkIdOf(name);
  return !kept.isNamed(name) && [...kept.namedFor(id), ...youngFor(id)].every(wasReadGoodSince);
}

/**
 * Whether a reading began after something was condemned. `storedAtMs` and `condemnedAtMs` are modification times given by the
 * store, `readingMs` is how long before it was signed the reading began, by the reader's own clock; signed documents arrive
 * within half of the shortest grace. One that does not say how long it took counts for nothing here.
 */
export function wasReadSince(
  { storedAtMs, readingMs }: { readonly storedAtMs: number; readonly readingMs: number | null },
  condemnedAtMs: number,
): boolean {
  return readingMs !== null && storedAtMs - readingMs - minimumGraceMs / 2 >= condemnedAtMs;
}

/** While one of its objects is there, a request to delete it may be under way: no backup may take it for stored. */
export function mayForgetCondemned(objects: readonly string[], isPresent: (name: string) => boolean): boolean {
  return !objects.some(isPresent);
}

export const chunkIdOf = (objectName: string): string => objectName.slice(0, objectName.indexOf('.'));
