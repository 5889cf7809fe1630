import { requireServing } from '../serving.ts';
import { requireExit } from '../world.ts';
import { afterLease, chooseBackup } from './backups.ts';
import type { Operation } from './operation.ts';

/** PostgreSQL is killed, alone or under a command, and comes back. */
export const crashServer: Operation = {
  name: 'kill PostgreSQL',
  weight: ({ place, model }) => (place.shared === undefined || model.backups.size === 0 ? 0 : 3),
  run: async (world, chance) => {
    const { model, place } = world;
    const crash = (): Promise<void> => place.shared!.crash();
    world.tally.add('fault: PostgreSQL killed');
    const draw = chance.integer(1, 3);
    if (draw === 1) {
      await crash();
      await requireServing(world);
      return {};
    }
    const backup = chooseBackup(world, chance);
    const words =
      draw === 2 ? ['backup', 'create'] : ['restore', 'run', backup.id, '--yes', '--cluster-key', model.clusterKey!];
    const meanwhile = { afterMs: chance.integer(300, 4_000), act: crash };
    const host = world.anyEnrolled(chance);
    const outcome = await world.run(host, words, { meanwhile });
    const lost = draw === 3 && !world.repository.isRestorable(backup.id);
    const nothingToBackUp = draw === 2 && model.live === undefined;
    const ended = nothingToBackUp ? 12 : lost ? 20 : 0;
    // 32: it fell between the swap and the record of it.
    requireExit(
      outcome,
      [ended, 14, ...(draw === 3 ? [32] : []), ...world.busyCodes()],
      `${words.join(' ')} while PostgreSQL was killed`,
    );
    if (outcome.exitCode !== 0) {
      world.leaseMayBeHeld = true;
      world.mayHaveStaging ||= draw === 3;
    }
    const before = model.live;
    await afterLease(world, { ...outcome, interrupted: outcome.exitCode !== 0 }, chance);
    return {
      live: draw === 3 ? backup.states : [],
      liveChanged: draw === 3 && (outcome.exitCode === 0 || outcome.exitCode === 32),
      backups: before === undefined ? [] : [before],
    };
  },
};
