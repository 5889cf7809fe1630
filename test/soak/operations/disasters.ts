import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { processesUsing } from '../processes.ts';
import { stopServing } from '../serving.ts';
import type { World } from '../world.ts';
import type { Operation } from './operation.ts';

const somethingToRestore = ({ model, repository }: World): boolean =>
  [...model.backups.values()].some(({ id, kind }) => kind !== 'safety' && repository.isRestorable(id));

export const destroyDatabase: Operation = {
  name: 'destroy the database',
  weight: (world) => (world.model.live !== undefined && somethingToRestore(world) ? 3 : 0),
  run: async (world) => {
    const { model, place } = world;
    if (place.kind === 'embedded') {
      const [host] = world.enrolled();
      await stopServing(world, host!, 'SIGKILL');
      // Its database ends a moment after it, and until then writes into what is removed here.
      while (processesUsing(host!.dataDirectory).length > 0) await sleep(50);
      rmSync(join(host!.dataDirectory, 'postgres'), { recursive: true, force: true });
      model.replaced.clear();
    } else await place.withServer((server) => server.dropDatabase(server.liveName));
    model.live = undefined;
    world.leaseMayBeHeld = false;
    world.tally.add('fault: database destroyed');
    return { backups: [] };
  },
};
