import { rmSync } from 'node:fs';
import { drawFault } from '../faults.ts';
import { enrol } from '../enrol.ts';
import { newHost, type SoakHost } from '../hosts.ts';
import { requireServing, startServing, stopServing } from '../serving.ts';
import type { World } from '../world.ts';
import type { Operation } from './operation.ts';

const mostHosts = 6;

export const enrolHost: Operation = {
  name: 'enrol a host',
  weight: (world) =>
    world.place.kind === 'embedded' || world.model.live === undefined || world.hosts.length > mostHosts ? 0 : 3,
  run: async (world, chance) => {
    const answering = world.enrolled().filter(({ serving }) => serving?.stopped === false && serving.address);
    const helper = answering.length > 0 ? undefined : world.enrolled().find(({ serving }) => serving === undefined);
    if (answering.length === 0 && helper === undefined) return {};
    if (helper !== undefined) await startServing(world, helper, []);
    await requireServing(world);
    const host = waiting(world) ?? addHost(world);
    if (!(await enrol(world, world.anyEnrolled(chance), host, drawFault(chance, ['enrol'], 3_000))))
      await enrol(world, world.anyEnrolled(chance), host);
    world.tally.add('enrolled');
    return {};
  },
};

/** A host that never was enrolled, but not the stranger: that one stays outside. */
const waiting = (world: World): SoakHost | undefined =>
  world.hosts.find(({ standing, name }) => standing === 'outsider' && name !== 'stranger');

/** A host that was lost is a member until it is evicted, and its name is taken. */
function addHost(world: World): SoakHost {
  const hostsEver = world.hosts.length + world.tally.of('fault: host lost');
  const host = newHost(world.directory, `h${hostsEver + 1}`, 'north');
  world.hosts.push(host);
  return host;
}

export const loseDisk: Operation = {
  name: 'lose the disk of a host',
  weight: (world) => (world.place.kind === 'embedded' ? 0 : 2),
  run: async (world, chance) => {
    const host = world.anyEnrolled(chance);
    await stopServing(world, host, 'SIGKILL');
    rmSync(host.dataDirectory, { recursive: true, force: true });
    world.leaseMayBeHeld = true;
    world.tally.add('fault: disk lost');
    return {};
  },
};

export const loseHost: Operation = {
  name: 'lose a host with its key',
  weight: (world) => (world.enrolled().length < 3 ? 0 : 2),
  run: async (world, chance) => {
    const host = world.anyEnrolled(chance);
    await stopServing(world, host, 'SIGKILL');
    rmSync(host.dataDirectory, { recursive: true, force: true });
    rmSync(host.keyFile, { force: true });
    // The machine that is put in its place is another one.
    world.hosts.splice(world.hosts.indexOf(host), 1);
    world.leaseMayBeHeld = true;
    world.tally.add('fault: host lost');
    return {};
  },
};
