import { chunksPrefix, parseChunkObjectPath } from '#format/layout.ts';
import type { ObjectReference } from '#format/manifest.ts';
import { chunkIdOf, mayReuse } from '#model/prune-rules.ts';
import type { ObjectStore } from '#ports/object-store.ts';
import { listBounded } from './list-bounded.ts';
import type { Catalog } from './read-catalog.ts';

/** Chunks that need not be stored again, and why others do although a backup names them. */
export interface KnownObjects {
  /** Chunk id → the object a new manifest may name for it. */
  readonly byId: ReadonlyMap<string, ObjectReference>;
  /** Chunk id → what is wrong with every object an authentic manifest names for it. */
  readonly unusable: ReadonlyMap<string, string>;
  /** Objects that no backup names, as an interrupted backup leaves them; each is opened before it is used. */
  readonly strays: readonly string[];
}

/**
 * An id is known when an authentic manifest names an object for it that is present with its size, that no verification
 * found bad and that prune has not condemned. Everything else is stored anew, which heals older backups too.
 * `condemned` was read before: what is condemned later lives long enough for the backup that is told here.
 */
export async function readKnownObjects(
  store: ObjectStore,
  catalog: Catalog,
  condemned: ReadonlySet<string>,
): Promise<KnownObjects> {
  const sizes = await readObjectSizes(store);
  const byId = new Map<string, ObjectReference>();
  const unusable = new Map<string, string>();
  const named = new Set<string>();
  const facts = {
    isCondemned: (name: string) => condemned.has(name),
    isBad: (name: string) => catalog.badObjects.has(name),
  };
  for (const { entry, objects } of catalog.backups) {
    if (entry.authentic !== true) continue;
    for (const object of objects) {
      const id = chunkIdOf(object.name);
      named.add(object.name);
      const problem = mayReuse(object.name, facts)
        ? presenceProblem(sizes.get(object.name), object)
        : catalog.badObjects.has(object.name)
          ? 'is damaged'
          : 'was condemned by prune';
      if (problem !== undefined) unusable.set(id, `${object.name} ${problem}`);
      else if (!byId.has(id)) byId.set(id, object);
    }
  }
  for (const id of byId.keys()) unusable.delete(id);
  const strays = [...sizes.keys()].filter(
    (name) => !named.has(name) && mayReuse(name, facts) && !byId.has(chunkIdOf(name)),
  );
  return { byId, unusable, strays };
}

export async function readObjectSizes(store: ObjectStore): Promise<Map<string, number>> {
  const sizes = new Map<string, number>();
  for await (const { key, sizeBytes } of listBounded(store, chunksPrefix)) {
    const name = parseChunkObjectPath(key);
    if (name !== undefined) sizes.set(name, sizeBytes);
  }
  return sizes;
}

/** What is wrong with an object, judged by its presence and size alone. */
export function presenceProblem(sizeBytes: number | undefined, expected: ObjectReference): string | undefined {
  if (sizeBytes === undefined) return 'is missing';
  if (sizeBytes !== expected.sizeBytes) return `has ${sizeBytes} bytes instead of ${expected.sizeBytes}`;
  return undefined;
}
