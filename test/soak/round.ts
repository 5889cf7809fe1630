import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Chance } from '../../demo/contents/chance.ts';
import { embeddedPlace, sharedPlace, type SharedServer } from './database-place.ts';
import { enrol } from './enrol.ts';
import { newHost, sealingOf } from './hosts.ts';
import { checkPromises } from './invariants.ts';
import type { Journal } from './journal.ts';
import { naming } from './operations/backups.ts';
import { enrolHost } from './operations/hosts.ts';
import { allDone, availableOperations } from './operations/operations.ts';
import type { Operation } from './operations/operation.ts';
import { processesUsing } from './processes.ts';
import { proveBackup, requireSealed } from './proof.ts';
import { requireServing, startServing, stopServing } from './serving.ts';
import { isSameState } from './state.ts';
import type { Tally } from './tally.ts';
import { require, Violation } from './violation.ts';
import { requireExit, World } from './world.ts';

export interface RoundParts {
  readonly seed: string;
  readonly round: number;
  readonly directory: string;
  readonly shared: SharedServer;
  readonly journal: Journal;
  readonly tally: Tally;
  /** How many operations this round has. */
  readonly operations: number;
  /** Whether to begin another operation. */
  goOn(): boolean;
  report(line: string): void;
}

/** Every so many rounds the cluster has one host with its own embedded database. */
const embeddedEvery = 4;
const proveOneIn = 6;
const serveCheckOneIn = 3;

/** The life of one cluster: created, worked on, damaged, and in the end every backup of it restored and compared. */
export async function playRound(parts: RoundParts): Promise<void> {
  const { seed, round, journal, tally } = parts;
  const directory = join(parts.directory, `r${round}`);
  mkdirSync(directory, { recursive: true, mode: 0o711 });
  const world = makeWorld(parts, directory);
  let step = 0;
  let name = 'create the cluster';
  const chanceOf = (at: number): Chance => new Chance(`${seed}/${round}/${at}`);
  try {
    journal.begin({ round, step, operation: name });
    await createCluster(world);
    while (step < parts.operations && parts.goOn()) {
      step += 1;
      const chance = chanceOf(step);
      const operation = draw(world, chance);
      name = operation.name;
      journal.begin({ round, step, operation: name });
      tally.add(`operation: ${name}`);
      await playStep(world, operation, chance);
      parts.report(`round ${round}, step ${step}: ${name}`);
    }
    name = 'the end of the round';
    step += 1;
    journal.begin({ round, step, operation: name });
    await endRound(world, chanceOf(step));
    rmSync(directory, { recursive: true, force: true });
  } catch (error) {
    throw new RoundFailed(round, step, name, error);
  } finally {
    await abandon(world);
  }
}

export class RoundFailed extends Error {
  override readonly name = 'RoundFailed';
  readonly round: number;
  readonly step: number;

  constructor(round: number, step: number, operation: string, cause: unknown) {
    const what =
      cause instanceof Violation
        ? cause.message
        : cause instanceof Error
          ? (cause.stack ?? cause.message)
          : String(cause);
    super(`round ${round}, step ${step} (${operation}): ${what}`, { cause });
    this.round = round;
    this.step = step;
  }
}

function makeWorld(parts: RoundParts, directory: string): World {
  const embedded = parts.round % embeddedEvery === 0;
  const place = embedded
    ? embeddedPlace(join(directory, 'h1'))
    : sharedPlace(parts.shared, `soak_${process.pid}_${parts.round}`, directory);
  const world = new World({ directory, place, journal: parts.journal, tally: parts.tally });
  const names = embedded ? ['h1', 'stranger'] : ['h1', 'h2', 'h3', 'stranger'];
  for (const [index, name] of names.entries())
    world.hosts.push(newHost(directory, name, index % 2 === 0 ? 'west' : 'east'));
  return world;
}

async function createCluster(world: World): Promise<void> {
  const [first, second] = world.hosts;
  first!.standing = 'enrolled';
  await startServing(world, first!, []);
  world.model.live = await world.stateOf(world.place.liveName);
  require(world.model.live !== undefined, () => 'serve created no cluster');
  await sealingOf(world.hosts.at(-1)!).provision();
  if (world.place.kind === 'shared') await enrol(world, first!, second!);
  await checkPromises(world);
}

/** By weight; what this run never did yet comes sooner, and what that needs. */
function draw(world: World, chance: Chance): Operation {
  const possible = availableOperations.filter((operation) => operation.weight(world) > 0);
  const fresh = possible.filter(({ name }) => world.tally.of(`operation: ${name}`) === 0);
  // What was never done and cannot be done now wants more hosts than there are.
  const enrolments = possible.filter((operation) => operation === enrolHost);
  const sooner = fresh.length > 0 ? fresh : allDone(world.tally) ? [] : enrolments;
  const drawn = sooner.length > 0 && chance.integer(1, 4) > 1 ? sooner : possible;
  const weighted = drawn.map((operation) => ({ operation, weight: Math.round(operation.weight(world) * 10) }));
  let left = chance.integer(
    1,
    weighted.reduce((sum, { weight }) => sum + weight, 0),
  );
  return weighted.find(({ weight }) => (left -= weight) <= 0)!.operation;
}

async function playStep(world: World, operation: Operation, chance: Chance): Promise<void> {
  const expectation = await operation.run(world, chance);
  await checkPromises(world, expectation);
  if (chance.integer(1, serveCheckOneIn) === 1) await requireServing(world);
  const backups = [...world.model.backups.values()];
  if (backups.length > 0 && chance.integer(1, proveOneIn) === 1) {
    await proveBackup(world, chance.oneOf(backups), chance);
    await checkPromises(world);
  }
}

/** Damage is found, the next backup heals what it can, and then every backup is restored and compared. */
async function endRound(world: World, chance: Chance): Promise<void> {
  for (const host of world.hosts) await stopServing(world, host, 'SIGTERM');
  if (world.model.live !== undefined) await heal(world, chance);
  for (const backup of world.model.backups.values()) await proveBackup(world, backup, chance);
  requireSealed(world);
  const left = processesUsing(world.directory);
  require(left.length === 0, () => `processes were left: ${JSON.stringify(left)}`);
}

async function heal(world: World, chance: Chance): Promise<void> {
  const { model, repository } = world;
  const host = world.anyEnrolled(chance);
  for (const { id } of model.backups.values()) {
    const lost = repository.lostChunks(id);
    requireExit(
      await world.run(host, ['backup', 'verify', id, ...naming(world)]),
      [lost.length === 0 ? 0 : 20],
      `backup verify ${id}`,
    );
    lost.forEach((chunk) => model.foundLost.add(chunk));
  }
  await checkPromises(world);
  await world.letLeasesExpire();
  const created = await world.run(host, ['backup', 'create']);
  requireExit(created, [0], 'the last backup create');
  await checkPromises(world, { backups: [model.live!] });
  const last = model.backups.get(created.document!['id'] as string)!;
  const same = [...model.backups.values()].filter(
    ({ states, epochs }) =>
      JSON.stringify(epochs) === JSON.stringify(last.epochs) &&
      states.length === 1 &&
      isSameState(states[0]!, model.live!),
  );
  for (const { id } of [last, ...same]) {
    require(repository.isRestorable(id), () => `backup ${id} holds what the live database holds, but was not healed`);
  }
  world.tally.add('healed', same.length);
}

/** Whatever happened: no process of ours goes on, and the databases of this round are dropped. */
async function abandon(world: World): Promise<void> {
  for (const host of world.hosts) host.serving?.started.child.kill('SIGKILL');
  for (const { pid } of processesUsing(world.directory)) process.kill(pid, 'SIGKILL');
  if (world.place.kind === 'embedded') return;
  await world.place.withServer(async (server) => {
    for (const name of await server.databaseNames(server.liveName)) await server.dropDatabase(name);
  });
}
