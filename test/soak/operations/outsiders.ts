import { requireExit } from '../world.ts';
import { chooseBackup } from './backups.ts';
import type { Operation } from './operation.ts';

/** Hardware that was never enrolled, or is no longer, opens nothing. */
export const refuseOutsider: Operation = {
  name: 'an outsider tries',
  weight: (world) => (world.model.backups.size > 0 ? 3 : 0),
  run: async (world, chance) => {
    const host = chance.oneOf(world.hosts.filter(({ standing }) => standing !== 'enrolled'));
    const { id } = chooseBackup(world, chance);
    const key = world.model.clusterKey;
    const trust = key === undefined ? [] : ['--cluster-key', key];
    const words = chance.oneOf([
      ['backup', 'verify', id],
      ['backup', 'drill', id],
      ['restore', 'run', id, '--yes', ...trust],
    ]);
    requireExit(await world.run(host, words), [21], `${words.join(' ')} on ${host.standing} ${host.name}`);
    world.tally.add(`refused: ${host.standing}`);
    return {};
  },
};
