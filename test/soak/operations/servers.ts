import { drawClockOffset } from '../faults.ts';
import type { SoakHost } from '../hosts.ts';
import { requireServing, startServing, stopServing } from '../serving.ts';
import type { World } from '../world.ts';
import type { Operation } from './operation.ts';

const mostServing = 2;

const idle = (world: World): SoakHost[] => world.enrolled().filter(({ serving }) => serving === undefined);
const serving = (world: World, stopped = false): SoakHost[] =>
  world.hosts.filter((host) => host.serving !== undefined && host.serving.stopped === stopped);

export const serveStart: Operation = {
  name: 'serve: start',
  weight: (world) => (idle(world).length > 0 && world.enrolled().length - idle(world).length < mostServing ? 6 : 0),
  run: async (world, chance) => {
    const host = chance.oneOf(idle(world));
    // With the embedded database nobody waits for a restore.
    const refusals = world.model.live === undefined ? [12] : [];
    await startServing(world, host, refusals, drawClockOffset(chance));
    await requireServing(world);
    return {};
  },
};

export const serveStop: Operation = {
  name: 'serve: stop',
  weight: (world) => serving(world).length * 2,
  run: async (world, chance) => {
    const signal = chance.oneOf(['SIGTERM', 'SIGINT'] as const);
    await stopServing(world, chance.oneOf(serving(world)), signal);
    return {};
  },
};

export const serveKill: Operation = {
  name: 'serve: kill',
  weight: (world) => serving(world).length * 2,
  run: async (world, chance) => {
    await stopServing(world, chance.oneOf(serving(world)), 'SIGKILL');
    world.tally.add('fault: SIGKILL');
    world.leaseMayBeHeld = true;
    world.mayHaveScratch = true;
    return {};
  },
};

export const servePause: Operation = {
  name: 'serve: SIGSTOP',
  // With the embedded database a stopped manager keeps everybody from it.
  weight: (world) => (world.place.kind === 'embedded' ? 0 : serving(world).length * 2),
  run: async (world, chance) => {
    const host = chance.oneOf(serving(world));
    host.serving!.started.child.kill('SIGSTOP');
    host.serving!.stopped = true;
    world.tally.add('fault: SIGSTOP');
    return {};
  },
};

export const serveResume: Operation = {
  name: 'serve: SIGCONT',
  weight: (world) => serving(world, true).length * 5,
  run: async (world, chance) => {
    const host = chance.oneOf(serving(world, true));
    host.serving!.started.child.kill('SIGCONT');
    host.serving!.stopped = false;
    await requireServing(world);
    return {};
  },
};
