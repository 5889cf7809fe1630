import type { Chance } from '../../../demo/contents/chance.ts';
import { drawClockOffset, drawFault, noFault } from '../faults.ts';
import { stopServing } from '../serving.ts';
import { Violation } from '../violation.ts';
import { requireExit, type Outcome, type World } from '../world.ts';
import type { Operation } from './operation.ts';
import { dropUnreadable } from './plant-rows.ts';

const mostTries = 4;

/** Interrupted anywhere it is repeated, here or on another host, and then it is done. */
export async function untilDone(world: World, words: readonly string[], chance: Chance): Promise<Outcome> {
  for (let tries = 1; tries <= mostTries; tries += 1) {
    const fault = tries < mostTries - 1 ? drawFault(chance, ['advance-keys', 'reseal'], 3_000) : noFault;
    const outcome = await world.run(world.anyEnrolled(chance), words, {
      fault,
      clockOffsetMs: drawClockOffset(chance),
    });
    requireExit(outcome, [0, ...world.busyCodes()], words.join(' '));
    if (outcome.exitCode === 0) return outcome;
    await world.letLeasesExpire();
    // What was interrupted a running manager finishes too.
    if (outcome.interrupted) world.leaseMayBeHeld = world.hosts.some(({ serving }) => serving !== undefined);
  }
  throw new Violation(`${words.join(' ')} was not done after ${mostTries} tries`);
}

/** A sealed value that somebody planted, and that came back with a backup, is refused until it is gone. */
async function dropWhatStops(world: World, chance: Chance): Promise<void> {
  if (world.model.live!.unreadable.length === 0) return;
  const refused = await world.run(world.anyEnrolled(chance), ['keys', 'rotate', '--yes']);
  requireExit(refused, [20, ...world.busyCodes()], 'keys rotate beside a planted value');
  await dropUnreadable(world);
}

export const rotateKeys: Operation = {
  name: 'keys rotate',
  weight: ({ model }) => (model.live === undefined ? 0 : 2),
  run: async (world, chance) => {
    await dropWhatStops(world, chance);
    await untilDone(world, ['keys', 'rotate', '--yes'], chance);
    world.tally.add('keys rotated');
    return {};
  },
};

export const evictHost: Operation = {
  name: 'node evict',
  weight: (world) => (world.model.live === undefined || world.enrolled().length < 3 ? 0 : 2),
  run: async (world, chance) => {
    const host = world.anyEnrolled(chance);
    await dropWhatStops(world, chance);
    await stopServing(world, host, 'SIGTERM');
    // From the first try on it may be out; until the last it may be in: nobody asks it meanwhile.
    host.standing = 'evicted';
    await untilDone(world, ['node', 'evict', host.name, '--yes'], chance);
    world.tally.add('evicted');
    return {};
  },
};
