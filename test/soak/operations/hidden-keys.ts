import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { readManifestSummary } from '#format/manifest.ts';
import type { Chance } from '../../../demo/contents/chance.ts';
import { checkPromises, type Expectation } from '../invariants.ts';
import { memoryOf, type SoakHost } from '../hosts.ts';
import type { ModelBackup } from '../model.ts';
import { require } from '../violation.ts';
import { requireExit, type World } from '../world.ts';
import { chooseBackup, latestBackup, naming } from './backups.ts';
import { untilDone } from './keys.ts';
import type { Operation } from './operation.ts';
import { dropUnreadable } from './plant-rows.ts';
import { afterRestore } from './restores.ts';

/** Objects that somebody took out of the repository and kept. */
class Aside {
  readonly #world: World;
  readonly #directory: string;
  #paths: readonly string[] = [];

  constructor(world: World) {
    this.#world = world;
    this.#directory = join(world.directory, 'aside');
    mkdirSync(this.#directory, { recursive: true });
  }

  take(paths: readonly string[]): void {
    this.#world.journal.note('hidden', { paths });
    for (const path of paths) renameSync(this.#place(path), this.#kept(path));
    this.#paths = paths;
  }

  /** What lies in their places again by then has to be the same. Returns those that did not. */
  giveBack(): string[] {
    const missing: string[] = [];
    for (const path of this.#paths) {
      const [place, kept] = [this.#place(path), this.#kept(path)];
      if (!existsSync(place)) {
        renameSync(kept, place);
        missing.push(path);
        continue;
      }
      require(readFileSync(place).equals(readFileSync(kept)), () => `${path} came back as another document`);
      rmSync(kept);
    }
    this.#paths = [];
    return missing;
  }

  readonly #place = (path: string): string => join(this.#world.repository.directory, path);

  readonly #kept = (path: string): string => join(this.#directory, path.replaceAll('/', '_'));
}

/** While `work` goes on the objects are away; whatever it does, they come back. Resolves with those that nobody put back. */
async function whileAside(world: World, work: (aside: Aside) => Promise<void>): Promise<string[]> {
  const aside = new Aside(world);
  try {
    await work(aside);
  } catch (error) {
    aside.giveBack();
    throw error;
  }
  return aside.giveBack();
}

const numberOf = (path: string): number => Number(basename(path, '.json'));
const isMembership = (path: string): boolean => path.startsWith('keyring/members/');

/** Somebody with the bucket takes the newest memberships away, before a command or while it runs, and brings them back. */
export const hideMemberships: Operation = {
  name: 'hide memberships',
  weight: ({ model }) => (model.backups.size === 0 ? 0 : model.live === undefined ? 12 : 4),
  run: async (world, chance) => {
    const { keyring } = await world.readCatalog();
    const newestFirst = keyring.documents
      .map(({ path }) => path)
      .filter((path) => isMembership(path) && existsSync(join(world.repository.directory, path)))
      .toSorted((a, b) => numberOf(b) - numberOf(a));
    const hidden = newestFirst.slice(0, chance.integer(1, newestFirst.length));
    await world.letLeasesExpire();
    world.tally.add('fault: membership hidden', hidden.length);
    return world.model.live === undefined
      ? await restoreWithout(world, chance, hidden, keyring.membership.number)
      : await workWithout(world, chance, hidden);
  },
};

/** The live database has them all: everything goes on, and what changes the keys or backs up puts them back. */
async function workWithout(world: World, chance: Chance, hidden: readonly string[]): Promise<Expectation> {
  const { model, repository } = world;
  const backup = chooseBackup(world, chance);
  const restoring = ['restore', 'run', backup.id, '--yes', '--cluster-key', model.clusterKey!];
  const words = chance.oneOf([['backup', 'create'], ['keys', 'rotate', '--yes'], restoring]);
  const meanwhile = chance.integer(1, 2) === 1;
  const afterMs = chance.integer(300, 2_500);
  if (words[0] === 'keys' && model.live!.unreadable.length > 0) await dropUnreadable(world);
  const lost = words === restoring ? repository.lostChunks(backup.id) : [];
  let expectation: Expectation = { backups: [model.live!] };
  const missing = await whileAside(world, async (aside) => {
    if (!meanwhile) aside.take(hidden);
    const act = async (): Promise<void> => await Promise.resolve(aside.take(hidden));
    const outcome = await world.run(world.anyEnrolled(chance), words, meanwhile ? { meanwhile: { afterMs, act } } : {});
    // 20: what it just wrote, or read a moment ago, is not there.
    const codes = meanwhile ? [0, 20] : repository.restoreCodes(backup.id, lost.length);
    requireExit(
      outcome,
      codes,
      `${words.join(' ')} ${meanwhile ? 'while memberships vanished' : 'without memberships'}`,
    );
    if (outcome.exitCode === 20) lost.forEach((chunk) => model.foundLost.add(chunk));
    if (words === restoring) expectation = await afterRestore(world, outcome, backup, chance);
  });
  require(meanwhile || words === restoring || missing.length === 0, () =>
    `${words.join(' ')} did not put back ${missing.join(', ')}`);
  if (words[0] === 'keys') await untilDone(world, words, chance);
  return expectation;
}

/**
 * Nothing but the repository: the newest backup carries what was decided before it, and restores; a host that has seen a
 * membership that nothing leads to any more refuses.
 */
async function restoreWithout(
  world: World,
  chance: Chance,
  hidden: readonly string[],
  newest: number,
): Promise<Expectation> {
  const { model, repository } = world;
  const newestBackup = [...model.backups.values()].toSorted((a, b) => b.sequence - a.sequence)[0]!;
  const carried = readManifestSummary(readFileSync(repository.manifestFile(newestBackup.id))).keyring;
  const carries = carried.some(({ path }) => isMembership(path) && numberOf(path) === newest);
  const knowing = world.enrolled().filter((host) => memoryOf(host).highestMembership === newest);
  const host = carries ? world.anyEnrolled(chance) : knowing.length > 0 ? chance.oneOf(knowing) : undefined;
  const backup = latestBackup(world);
  if (host === undefined || backup === undefined) return { backups: [] };
  const lost = repository.lostChunks(backup.id);
  let expectation: Expectation = { backups: [] };
  await whileAside(world, async (aside) => {
    aside.take(hidden);
    if (!carries) {
      const refused = await world.run(host, ['restore', 'run', 'latest', '--yes']);
      requireExit(refused, [20], 'restore run on a host that has seen a membership that is hidden');
      world.tally.add('refused: membership hidden');
      return;
    }
    const words = ['restore', 'run', 'latest', '--yes', '--cluster-key', model.clusterKey!];
    const outcome = await world.run(host, words);
    requireExit(outcome, [lost.length === 0 ? 0 : 20], 'restore run of a backup that carries the hidden memberships');
    if (outcome.exitCode === 20) lost.forEach((chunk) => model.foundLost.add(chunk));
    expectation = await afterRestore(world, outcome, backup, chance);
  });
  return expectation;
}

/** New keys never count what they do not see: a host that has seen it refuses, until a person gives it up. */
export const changeKeysBesideHidden: Operation = {
  name: 'change the keys while backups are hidden',
  weight: (world) => (world.model.live === undefined || whoSaw(world, 1).length === 0 ? 0 : 3),
  run: async (world, chance) => {
    const sorted = byNewest(world);
    const hidden = sorted.slice(0, chance.integer(1, Math.min(3, sorted.length - 1)));
    const visible = sorted[hidden.length]!.sequence;
    const host = chance.oneOf(whoSaw(world, hidden.length));
    const gone = hidden.map(({ id }) => id);
    await world.letLeasesExpire();
    const { keyring: before } = await world.readCatalog();
    let accepted = false;
    await whileAside(world, async (aside) => {
      aside.take(gone.map((id) => `backups/${id}.json`));
      const words = changeBy(world, host, chance);
      const refused = await world.run(host, words);
      requireExit(refused, [20], `${words.join(' ')} while backups are hidden`);
      require(refused.error?.includes('deleted or hidden') === true, () => `it is not said: ${refused.error}`);
      require((await world.readCatalog()).keyring.fingerprint === before.fingerprint, () => 'the keys were changed');
      world.tally.add('refused: new keys while backups are hidden');
      accepted = memoryOf(host).highestSequence === sorted[0]!.sequence && chance.integer(1, 3) === 1;
      if (accepted) await giveUp(world, chance, host, visible);
    });
    if (!accepted) return {};
    for (const id of gone) world.model.disowned.add(id);
    await checkPromises(world, { gone });
    for (const id of gone)
      requireExit(
        await world.run(host, ['backup', 'verify', id, ...naming(world)]),
        [20],
        `backup verify ${id}, which was given up,`,
      );
    // Its sequence is beyond those that hosts have seen, who then miss nothing.
    await world.letLeasesExpire();
    requireExit(await world.run(host, ['backup', 'create']), [0], 'backup create after backups were given up');
    return {};
  },
};

/** A person says that those backups are lost: with the right number, and not with another. */
async function giveUp(world: World, chance: Chance, host: SoakHost, visible: number): Promise<void> {
  const rotate = ['keys', 'rotate', '--yes'];
  if (world.model.live!.unreadable.length > 0) await dropUnreadable(world);
  const wrong = await world.run(host, [...rotate, '--at-least-sequence', String(visible + 1)]);
  requireExit(wrong, [20], `keys rotate at least sequence ${visible + 1} of ${visible}`);
  await untilDone(world, [...rotate, '--accept-missing-after', String(visible)], chance);
  world.tally.add('backups given up for new keys');
}

function changeBy(world: World, host: SoakHost, chance: Chance): string[] {
  const others = world.enrolled().filter((other) => other !== host);
  if (others.length < 2 || chance.integer(1, 2) === 1) return ['keys', 'rotate', '--yes'];
  return ['node', 'evict', chance.oneOf(others).name, '--yes'];
}

const byNewest = ({ model }: World): ModelBackup[] =>
  [...model.backups.values()].toSorted((a, b) => b.sequence - a.sequence);

/** Hosts that would miss so many of the newest backups. */
function whoSaw(world: World, count: number): SoakHost[] {
  const visible = byNewest(world)[count]?.sequence;
  return visible === undefined ? [] : world.enrolled().filter((host) => memoryOf(host).highestSequence > visible);
}
