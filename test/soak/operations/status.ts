import { require } from '../violation.ts';
import { requireExit } from '../world.ts';
import { latestBackup } from './backups.ts';
import type { Operation } from './operation.ts';

/** It may be pessimistic; it must not be healthy where a restore of tomorrow is known to fail. */
export const askStatus: Operation = {
  name: 'status',
  weight: () => 5,
  run: async (world, chance) => {
    const { model, repository } = world;
    const outcome = await world.run(world.anyEnrolled(chance), ['status']);
    requireExit(outcome, model.live === undefined ? [12, 14] : [0, 1], 'status');
    const latest = latestBackup(world);
    const lost =
      latest === undefined ? [] : repository.lostChunks(latest.id).filter((chunk) => model.foundLost.has(chunk));
    if (outcome.exitCode === 0) {
      require(latest !== undefined, () => 'status is healthy without a backup');
      require(lost.length === 0, () =>
        `status is healthy, but the newest backup is known to have lost ${lost.length} chunks`);
    }
    world.tally.add(`status: exit ${outcome.exitCode}`);
    return {};
  },
};
