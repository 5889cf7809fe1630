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
    // 40: what was its own still tells an evicted host that it was, and may do nothing.
    const codes = host.standing === 'evicted' ? [21, 40] : [21];
    requireExit(await world.run(host, words), codes, `${words.join(' ')} on ${host.standing} ${host.name}`);
    world.tally.add(`refused: ${host.standing}`);
    return {};
  },
};
