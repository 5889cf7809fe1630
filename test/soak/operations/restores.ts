import type { Chance } from '../../../demo/contents/chance.ts';
import { drawClockOffset, drawFault } from '../faults.ts';
import { memoryOf, type SoakHost } from '../hosts.ts';
import type { Expectation } from '../invariants.ts';
import type { Model, ModelBackup } from '../model.ts';
import { requireServing } from '../serving.ts';
import { require } from '../violation.ts';
import { requireExit, type Outcome, type World } from '../world.ts';
import { afterLease, chooseBackup, wordFor } from './backups.ts';
import type { Operation } from './operation.ts';

export const restoreRun: Operation = {
  name: 'restore run',
  weight: ({ model }) => (model.backups.size === 0 ? 0 : model.live === undefined ? 40 : 12),
  run: async (world, chance) => {
    const backup = chooseBackup(world, chance);
    const host = world.anyEnrolled(chance);
    const trust = trustOf(world, host, chance);
    const lost = world.repository.lostChunks(backup.id);
    const words = ['restore', 'run', wordFor(world, backup, chance), '--yes', ...trust.words];
    if (chance.integer(1, 6) === 1) words.push('--without-safety-backup');
    const outcome = await world.run(host, words, {
      fault: drawFault(chance, ['restore', 'restore', 'backup'], 12_000),
      clockOffsetMs: drawClockOffset(chance),
    });
    if (!trust.suffices)
      requireExit(
        outcome,
        [2],
        'restore run on a host that has not seen the newest cluster key, without --cluster-key,',
      );
    else
      requireExit(
        outcome,
        [...world.repository.restoreCodes(backup.id, lost.length), ...world.busyCodes()],
        `restore run ${backup.id}, which misses ${lost.length} chunks,`,
      );
    if (outcome.exitCode === 20) lost.forEach((chunk) => world.model.foundLost.add(chunk));
    return await afterRestore(world, outcome, backup, chance);
  },
};

export async function afterRestore(
  world: World,
  outcome: Outcome,
  { states }: ModelBackup,
  chance: Chance,
): Promise<Expectation> {
  if (outcome.exitCode === 0) {
    world.leaseMayBeHeld = false;
    world.tally.add('restored');
    if (world.model.live === undefined) world.tally.add('restored on an empty server');
  }
  const before = world.model.live;
  await afterLease(world, outcome, chance);
  if (outcome.interrupted) world.tally.add('restore interrupted');
  return {
    live: outcome.exitCode === 0 || outcome.interrupted ? states : [],
    liveChanged: outcome.exitCode === 0,
    backups: before === undefined ? [] : [before],
  };
}

/**
 * A host that has seen the newest cluster key needs nothing, nor one beside the live database, which has it; another needs the
 * key from the recovery line.
 */
function trustOf(world: World, host: SoakHost, chance: Chance): { words: string[]; suffices: boolean } {
  const key = world.model.clusterKey;
  const suffices = host.remembers && (world.model.live !== undefined || memoryOf(host).clusterKey === key);
  if (key === undefined || (suffices && chance.integer(1, 2) === 1)) return { words: [], suffices };
  if (!suffices && chance.integer(1, 4) === 1) return { words: [], suffices: false };
  return { words: ['--cluster-key', key], suffices: true };
}

export const restoreRollback: Operation = {
  name: 'restore rollback',
  weight: ({ model }) => (model.live === undefined ? 0 : model.replaced.size > 0 ? 6 : 1),
  run: async (world, chance) => {
    const { model } = world;
    const outcome = await world.run(world.anyEnrolled(chance), ['restore', 'rollback', '--yes'], {
      fault: drawFault(chance, ['rollback'], 3_000),
    });
    // 3: the live database replaced none, or cleanup took it.
    requireExit(outcome, [0, 3, ...world.busyCodes()], 'restore rollback');
    const candidates = [...model.replaced];
    if (outcome.exitCode === 0) {
      const name = outcome.document!['beforeDatabase'] as string;
      const state = model.replaced.get(name);
      require(state !== undefined, () => `rollback went back to ${name}, which no restore replaced`);
      model.replaced.delete(name);
      world.leaseMayBeHeld = false;
      world.tally.add('rolled back');
      return { live: [state], liveChanged: true };
    }
    await afterLease(world, outcome, chance);
    if (!outcome.interrupted) return {};
    doomReplaced(model);
    return { live: candidates.map(([, state]) => state) };
  },
};

/** Whatever was killed, the server may go on with it for a moment. */
function doomReplaced({ replaced, doomed }: Model): void {
  for (const name of replaced.keys()) doomed.add(name);
}

export const restoreCleanup: Operation = {
  name: 'restore cleanup',
  weight: (world) => (world.model.live === undefined ? 0 : world.model.replaced.size + (world.mayHaveStaging ? 2 : 0)),
  run: async (world, chance) => {
    const { model } = world;
    const outcome = await world.run(world.anyEnrolled(chance), ['restore', 'cleanup', '--yes'], {
      fault: drawFault(chance, ['cleanup'], 2_000),
    });
    requireExit(outcome, [0, ...world.busyCodes()], 'restore cleanup');
    if (outcome.exitCode === 0) {
      model.replaced.clear();
      model.doomed.clear();
      world.mayHaveStaging = false;
    } else if (outcome.interrupted) doomReplaced(model);
    await afterLease(world, outcome, chance);
    if (outcome.exitCode === 0) await requireServing(world);
    return {};
  },
};
