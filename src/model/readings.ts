/**
 * What happens to verifications when backups go: what they say about objects that other backups need stays said, and
 * the rest may go too.
 */
import type { BackupId } from './identifiers.ts';
import type { VerificationFacts } from './verified.ts';

interface NamedObjects {
  readonly id: BackupId;
  /** Names of the objects that the backup needs. */
  readonly objects: readonly string[];
}

/** A reading of a backup that goes, spelled out for the objects that stay. */
export interface SpelledReading<V> {
  readonly of: V;
  readonly backups: readonly BackupId[];
  /** Sorted, not empty. */
  readonly objects: readonly string[];
}

/**
 * A verification that read "all objects of its backups" says nothing any more once those manifests are gone. Spelled out
 * here is what only such ones say of objects that a backup which stays needs.
 */
export function readingsToSpellOut<V extends VerificationFacts>(
  kept: readonly NamedObjects[],
  removed: readonly NamedObjects[],
  verifications: readonly V[],
): SpelledReading<V>[] {
  const objectsOf = new Map(kept.map(({ id, objects }) => [id, objects]));
  const needed = new Set(kept.flatMap(({ objects }) => objects));
  const said = newestReadings(verifications, (id) => objectsOf.get(id) ?? []);
  const going = new Map(removed.map(({ id, objects }) => [id, objects]));
  return verifications.flatMap((verification) => {
    if (verification.objects !== null || !verification.passed) return [];
    const backups = verification.backups.filter((id) => going.has(id));
    const atMs = Date.parse(verification.at);
    const objects = new Set(backups.flatMap((id) => going.get(id)!));
    const spelled = [...objects].filter(
      (name) => needed.has(name) && (said.get(name) ?? Number.NEGATIVE_INFINITY) < atMs,
    );
    return spelled.length === 0 ? [] : [{ of: verification, backups, objects: spelled.toSorted() }];
  });
}

/** Verifications without which everything that can be said about the backups stays the same. */
export function idleVerifications<V extends VerificationFacts>(
  kept: readonly NamedObjects[],
  verifications: readonly V[],
): V[] {
  const listed = new Set(kept.map(({ id }) => id));
  const needed = new Set(kept.flatMap(({ objects }) => objects));
  const ofListed = (verification: V): boolean => verification.backups.some((id) => listed.has(id));
  const staying = verifications.filter(ofListed);
  const objectsOf = new Map(kept.map(({ id, objects }) => [id, objects]));
  const said = newestReadings(staying, (id) => objectsOf.get(id) ?? []);
  const idle: V[] = [];
  // Newest first: of several that read the same objects only the newest is needed.
  for (const verification of verifications.toSorted((a, b) => Date.parse(b.at) - Date.parse(a.at))) {
    if (ofListed(verification)) continue;
    const atMs = Date.parse(verification.at);
    const says = verification.passed
      ? (verification.objects ?? []).filter(
          (name) => needed.has(name) && (said.get(name) ?? Number.NEGATIVE_INFINITY) < atMs,
        )
      : [];
    if (says.length === 0 && !verification.bad.some((name) => needed.has(name))) idle.push(verification);
    else for (const name of says) said.set(name, atMs);
  }
  return idle;
}

/** Object name → when it was last read and found good, in milliseconds since the epoch. */
function newestReadings(
  verifications: readonly VerificationFacts[],
  objectsOf: (id: BackupId) => readonly string[],
): Map<string, number> {
  const newest = new Map<string, number>();
  for (const { at, passed, objects, backups } of verifications) {
    if (!passed) continue;
    const atMs = Date.parse(at);
    for (const name of objects ?? backups.flatMap(objectsOf)) {
      newest.set(name, Math.max(atMs, newest.get(name) ?? Number.NEGATIVE_INFINITY));
    }
  }
  return newest;
}
