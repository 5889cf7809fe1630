import { damages } from '../repository-view.ts';
import { latestBackup } from './backups.ts';
import type { Operation } from './operation.ts';

/** Somebody, or a disk, damages an object in the repository, and nobody is told. */
export const damageObject: Operation = {
  name: 'damage an object',
  // What is lost while there is no database nothing brings back, and the rest of the round would restore nothing.
  weight: ({ model }) => (model.backups.size > 1 && model.live !== undefined ? 5 : 0),
  run: async (world, chance) => {
    const latest = latestBackup(world);
    const objects =
      chance.integer(1, 2) === 1 && latest ? world.repository.objectsOf(latest.id) : world.repository.chunkObjects();
    const there = new Set(world.repository.chunkObjects());
    const candidates = objects.filter((name) => there.has(name) && !world.repository.isDamaged(name));
    if (candidates.length === 0) return {};
    const [name, kind] = [chance.oneOf(candidates), chance.oneOf(damages)];
    world.repository.damage(name, kind);
    const lost = [...world.model.backups.keys()].filter((id) => !world.repository.isRestorable(id));
    world.journal.note('damaged', { name, kind, backupsLost: lost.length });
    world.tally.add(`fault: object ${kind}`);
    return {};
  },
};
