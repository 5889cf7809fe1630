import type { Chance } from '../../../demo/contents/chance.ts';
import type { Expectation } from '../invariants.ts';
import { stateOf, type State } from '../state.ts';
import { writes } from '../writes.ts';
import { requireExit, type Outcome, type World } from '../world.ts';
import { afterLease, chooseBackup, naming } from './backups.ts';
import type { Operation } from './operation.ts';

/** Two commands on the cluster at the same time: the lease lets one do its work, or both one after the other. */
export const twoAtOnce: Operation = {
  name: 'two commands at once',
  weight: ({ model, place }) =>
    model.live === undefined || model.backups.size === 0 || place.kind === 'embedded' ? 0 : 4,
  run: async (world, chance) => {
    const before = world.model.live!;
    const commands = [drawCommand(world, chance), drawCommand(world, chance)];
    const outcomes = await Promise.all(
      commands.map(async ({ words, states }) => ({
        outcome: await world.run(world.anyEnrolled(chance), words),
        states,
      })),
    );
    for (const [index, { outcome }] of outcomes.entries()) {
      const { words, codes } = commands[index]!;
      requireExit(outcome, [...codes(), 13], words.join(' '));
    }
    if (outcomes.some(({ outcome }) => outcome.exitCode === 13)) world.tally.add('refused: another holds the lease');
    const restored = outcomes.filter(({ outcome, states }) => outcome.exitCode === 0 && states.length > 0);
    const live = restored.flatMap(({ states }) => states);
    if (live.length > 0) await world.letLeasesExpire();
    return { live, liveChanged: live.length > 0, backups: [before, ...live] };
  },
};

interface Drawn {
  readonly words: readonly string[];
  /** Asked when both have ended: what was lost at first the other may have stored anew. */
  readonly codes: () => readonly number[];
  /** What the live database holds after it. */
  readonly states: readonly State[];
}

function drawCommand(world: World, chance: Chance): Drawn {
  const backup = chooseBackup(world, chance);
  const lost = world.repository.lostChunks(backup.id).length;
  const codes = (): readonly number[] => world.repository.restoreCodes(backup.id, lost);
  return chance.oneOf<Drawn>([
    { words: ['backup', 'create'], codes: () => [0], states: [] },
    { words: ['backup', 'verify', backup.id, ...naming(world)], codes, states: [] },
    {
      words: ['restore', 'run', backup.id, '--yes', '--cluster-key', world.model.clusterKey!],
      codes,
      states: backup.states,
    },
  ]);
}

/** A backup is of one moment, whatever is written while it is taken. */
export const writeBesideBackup: Operation = {
  name: 'write while a backup is taken',
  weight: ({ model }) => (model.live === undefined ? 0 : 4),
  run: async (world, chance) => {
    const states = [world.model.live!];
    let ended = false;
    const backup = world.run(world.anyEnrolled(chance), ['backup', 'create']).finally(() => (ended = true));
    while (!ended && states.length < 30) states.push(await writeOnce(world, chance));
    const outcome = await backup;
    requireExit(outcome, [0, ...world.busyCodes()], 'backup create beside writes');
    await afterLease(world, outcome, chance);
    world.model.live = states.at(-1)!;
    world.tally.add('writes beside a backup', states.length - 1);
    return { backups: states };
  },
};

async function writeOnce(world: World, chance: Chance): Promise<State> {
  const name = chance.oneOf(['change rows', 'save a secret', 'append audit events', 'add a user with apps and builds']);
  const state = await world.withDatabase((database, keyring) =>
    database.transaction(async (queries) => {
      await writes[name]!(queries, keyring, chance);
      return await stateOf(queries, keyring);
    }),
  );
  return state!;
}

/** A holder of the lease that stands still, loses it, and goes on later: it must not write then. */
export const standStill: Operation = {
  name: 'SIGSTOP a command and go on',
  weight: ({ model, place }) =>
    model.live === undefined || model.backups.size === 0 || place.kind === 'embedded' ? 0 : 4,
  run: async (world, chance) => {
    const before = world.model.live!;
    const backup = chooseBackup(world, chance);
    const restores = chance.integer(1, 2) === 1;
    const words = restores
      ? ['restore', 'run', backup.id, '--yes', '--cluster-key', world.model.clusterKey!]
      : ['backup', 'create'];
    const lost = restores ? world.repository.lostChunks(backup.id).length : 0;
    let other: { readonly outcome: Outcome; readonly codes: readonly number[] } | undefined;
    const host = world.anyEnrolled(chance);
    const outcome = await world.run(host, words, {
      meanwhile: {
        afterMs: chance.integer(300, restores ? 3_000 : 1_500),
        act: async ({ child }) => {
          child.kill('SIGSTOP');
          await world.letLeasesExpire();
          const second = world.anyEnrolled(chance);
          // 17: it stood still while it wrote down what the host remembers, and others of that host wait in vain.
          const codes = second === host ? [0, 13, 17] : [0, 13];
          other = { outcome: await world.run(second, ['backup', 'create']), codes };
          child.kill('SIGCONT');
        },
      },
    });
    // 13: the lease, or the pause, was lost. 14: the swap of somebody else ended its sessions.
    const codes = world.repository.restoreCodes(backup.id, lost);
    requireExit(outcome, [...codes, 13, 14], `${words.join(' ')}, stopped in the middle,`);
    requireExit(other!.outcome, other!.codes, 'backup create beside a stopped command');
    world.tally.add('fault: SIGSTOP');
    const expectation: Expectation = {
      live: restores ? backup.states : [],
      liveChanged: restores && outcome.exitCode === 0,
      backups: [before, ...(restores ? backup.states : [])],
    };
    if (outcome.exitCode !== 0) world.mayHaveStaging ||= restores;
    await world.letLeasesExpire();
    return expectation;
  },
};
