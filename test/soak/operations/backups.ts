import type { Chance } from '../../../demo/contents/chance.ts';
import { drawClockOffset, drawFault } from '../faults.ts';
import type { ModelBackup } from '../model.ts';
import { require } from '../violation.ts';
import { requireExit, type Outcome, type World } from '../world.ts';
import type { Operation } from './operation.ts';

const hasBackups = ({ model }: World): boolean => model.backups.size > 0;

export const createBackup: Operation = {
  name: 'backup create',
  weight: () => 16,
  run: async (world, chance) => {
    const { model, repository } = world;
    const outcome = await world.run(world.anyEnrolled(chance), ['backup', 'create'], {
      fault: drawFault(chance, ['backup']),
      clockOffsetMs: drawClockOffset(chance),
    });
    // With the embedded database there is not even a server where it was destroyed.
    const codes = model.live === undefined ? [12, 14] : [0, ...world.busyCodes()];
    requireExit(outcome, codes, 'backup create');
    if (outcome.exitCode === 0) {
      const id = outcome.document!['id'] as string;
      const healed = repository.lostChunks(id).filter((chunk) => model.foundLost.has(chunk));
      require(healed.length === 0, () =>
        `backup ${id} was listed with chunk ${healed[0]}, which was found lost before`);
    }
    await afterLease(world, outcome, chance);
    return model.live === undefined ? { backups: [] } : { backups: [model.live] };
  },
};

export const verifyBackup: Operation = {
  name: 'backup verify',
  weight: (world) => (hasBackups(world) ? 9 : 0),
  run: (world, chance) => readBack(world, chance, 'verify'),
};

export const drillBackup: Operation = {
  name: 'backup drill',
  weight: (world) => (hasBackups(world) ? 5 : 0),
  run: (world, chance) => readBack(world, chance, 'drill'),
};

async function readBack(world: World, chance: Chance, verb: 'verify' | 'drill') {
  const { model, repository } = world;
  const backup = chooseBackup(world, chance);
  const lost = repository.lostChunks(backup.id);
  const outcome = await world.run(
    world.anyEnrolled(chance),
    ['backup', verb, wordFor(world, backup, chance), ...naming(world)],
    {
      fault: drawFault(chance, []),
      clockOffsetMs: drawClockOffset(chance),
    },
  );
  requireExit(
    outcome,
    [lost.length === 0 ? 0 : 20],
    `backup ${verb} ${backup.id}, which misses ${lost.length} chunks,`,
  );
  if (outcome.exitCode === 20) {
    lost.forEach((chunk) => model.foundLost.add(chunk));
    world.tally.add('damage found');
  }
  if (verb === 'drill' && !outcome.interrupted && outcome.exitCode === 0) world.tally.add('drill passed');
  return {};
}

export const listBackups: Operation = {
  name: 'backup list',
  weight: () => 3,
  run: async (world, chance) => {
    const outcome = await world.run(world.anyEnrolled(chance), ['backup', 'list']);
    requireExit(outcome, [0], 'backup list');
    const listed = JSON.parse(outcome.stdout) as { id: string; sequence: number }[];
    const sequences = listed.map(({ sequence }) => sequence);
    require(sequences.every((sequence, index) => index === 0 || sequence < sequences[index - 1]!), () =>
      `backup list is not newest first: ${sequences.join(', ')}`);
    const missing = [...world.model.backups.keys()].filter((id) => !listed.some((backup) => backup.id === id));
    require(missing.length === 0, () => `backup list does not show ${missing.join(', ')}`);
    return {};
  },
};

/** The newest that a restore of `latest` takes. */
export function latestBackup({ model }: World): ModelBackup | undefined {
  const candidates = [...model.backups.values()].filter(({ kind }) => kind !== 'safety');
  return candidates.toSorted((a, b) => b.sequence - a.sequence)[0];
}

export function chooseBackup(world: World, chance: Chance): ModelBackup {
  const latest = latestBackup(world);
  if (latest !== undefined && chance.integer(1, 3) === 1) return latest;
  return chance.oneOf([...world.model.backups.values()]);
}

export const wordFor = (world: World, backup: ModelBackup, chance: Chance): string =>
  backup === latestBackup(world) && chance.integer(1, 2) === 1 ? 'latest' : backup.id;

/** Whichever host it is need not have seen the newest key. */
export const naming = ({ model: { clusterKey } }: World): string[] =>
  clusterKey === undefined ? [] : ['--cluster-key', clusterKey];

/** After a kill either time goes by, or the next command meets the lease. */
export async function afterLease(world: World, outcome: Outcome, chance: Chance): Promise<void> {
  if (!outcome.interrupted && outcome.exitCode !== 13) return;
  if (outcome.exitCode === 13 || chance.integer(1, 3) > 1) await world.letLeasesExpire();
}
