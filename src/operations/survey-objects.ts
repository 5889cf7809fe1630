import { chunksPrefix, parseChunkObjectPath } from '#format/layout.ts';
import { chunkIdOf, mayCondemn, type KeptObjects } from '#model/prune-rules.ts';
import type { ObjectStore } from '#ports/object-store.ts';
import type { OperationContext } from './context.ts';
import { listBounded } from './list-bounded.ts';

/** A number of objects and their bytes together. */
export interface Tally {
  readonly objects: number;
  readonly bytes: number;
}

export interface ObjectSurvey {
  readonly stored: Tally;
  /** Condemned before and still there, with their sizes. */
  readonly condemned: ReadonlyMap<string, number>;
  /** For each chunk id of those, every object that lies there. */
  readonly siblings: ReadonlyMap<string, readonly string[]>;
  /** What no kept backup names and nothing has condemned yet; sorted, at most `maxInGrace` with those. */
  readonly unreferenced: ReadonlyMap<string, number>;
  /** More of the same, for another run. */
  readonly left: Tally;
  /** The newest modification time seen, by the store's clock. */
  readonly newestMs: number;
}

/** Objects that wait for their grace to end, at most: what is remembered of a listing stays in memory. */
const maxInGrace = 1_000_000;

/** Lists every chunk object once and keeps only what concerns prune. */
export async function surveyObjects(
  context: OperationContext,
  store: ObjectStore,
  kept: KeptObjects,
  condemnedNames: ReadonlySet<string>,
): Promise<ObjectSurvey> {
  const condemned = new Map<string, number>();
  const siblings = new Map<string, string[]>([...condemnedNames].map((name) => [chunkIdOf(name), []]));
  const unreferenced = new Map<string, number>();
  const stored = { objects: 0, bytes: 0 };
  const left = { objects: 0, bytes: 0 };
  let newestMs = Number.NEGATIVE_INFINITY;
  for await (const { key, sizeBytes, modifiedAt } of listBounded(store, chunksPrefix)) {
    context.signal.throwIfAborted();
    const name = parseChunkObjectPath(key);
    if (name === undefined) continue;
    newestMs = Math.max(newestMs, modifiedAt.getTime());
    add(stored, sizeBytes);
    siblings.get(chunkIdOf(name))?.push(name);
    if (condemnedNames.has(name)) condemned.set(name, sizeBytes);
    if (!mayCondemn(name, kept, (object) => condemnedNames.has(object))) continue;
    if (condemnedNames.size + unreferenced.size < maxInGrace) unreferenced.set(name, sizeBytes);
    else add(left, sizeBytes);
  }
  return { stored, condemned, siblings, unreferenced, left, newestMs };
}

function add(tally: { objects: number; bytes: number }, bytes: number): void {
  tally.objects += 1;
  tally.bytes += bytes;
}

export function tallyOf(sizes: Iterable<number>): Tally {
  const tally = { objects: 0, bytes: 0 };
  for (const bytes of sizes) add(tally, bytes);
  return tally;
}
