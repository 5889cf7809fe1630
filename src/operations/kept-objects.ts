import { chunkIdOf, type KeptObjects } from '#model/prune-rules.ts';
import type { CatalogBackup } from './read-catalog.ts';

/** What the given manifests name. */
export function keptObjectsOf(backups: readonly Pick<CatalogBackup, 'objects'>[]): KeptObjects {
  const names = new Set<string>();
  const byId = new Map<string, string | string[]>();
  for (const { objects } of backups) {
    for (const { name } of objects) {
      if (names.has(name)) continue;
      names.add(name);
      addName(byId, chunkIdOf(name), name);
    }
  }
  return {
    isNamed: (name) => names.has(name),
    namedFor: (id) => [byId.get(id) ?? []].flat(),
  };
}

/** Nearly every id has one object, so that an array for each would be most of the memory. */
function addName(byId: Map<string, string | string[]>, id: string, name: string): void {
  const before = byId.get(id);
  byId.set(id, before === undefined ? name : [before, name].flat());
}
