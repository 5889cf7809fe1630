import { readdirSync, statSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { drawClockOffset, drawFault } from '../faults.ts';
import { require } from '../violation.ts';
import { requireExit, type World } from '../world.ts';
import { afterLease } from './backups.ts';
import type { Operation } from './operation.ts';

const hourMs = 3_600_000;

/** The store's clock goes on for all objects alike, so that a grace passes. */
export const letTimePass: Operation = {
  name: 'days pass for the repository',
  weight: ({ model }) => (model.backups.size > 0 ? 3 : 0),
  run: async (world, chance) => {
    const hours = chance.integer(30, 120);
    for (const entry of readdirSync(world.repository.directory, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue;
      const path = join(entry.parentPath, entry.name);
      const time = new Date(statSync(path).mtimeMs - hours * hourMs);
      utimesSync(path, time, time);
    }
    world.journal.note('time passed', { hours });
    world.tally.add('fault: store clock moved');
    return {};
  },
};

export const pruneBackups: Operation = {
  name: 'backup prune',
  weight: ({ model }) => (model.live === undefined || model.backups.size < 3 ? 0 : 2 + model.backups.size / 4),
  run: async (world, chance) => {
    const { model, repository } = world;
    const last = chance.integer(1, 6);
    const policy = ['--keep-last', String(last), '--keep-safety', String(chance.integer(0, 3)), '--prune-grace', '24h'];
    if (chance.integer(1, 4) > 1) policy.push('--accept-emptied-tables');
    const restorable = restorableOf(world);
    const outcome = await world.run(world.anyEnrolled(chance), ['backup', 'prune', '--yes', ...policy], {
      fault: drawFault(chance, ['prune'], 3_000),
      clockOffsetMs: drawClockOffset(chance),
    });
    // 31: rows of tables that are empty now would be in no backup any more, and nobody said that this is meant.
    const codes = policy.includes('--accept-emptied-tables') ? [0] : [0, 31];
    requireExit(outcome, [...codes, ...world.busyCodes()], 'backup prune');
    await afterLease(world, outcome, chance);
    if (outcome.exitCode === 0) {
      const kept = (outcome.document!['kept'] as { id: string }[]).map(({ id }) => id);
      const removed = (outcome.document!['removed'] as { id: string }[]).map(({ id }) => id);
      require(kept.length > 0, () => 'prune kept no backup');
      requireAllRestorable(world, restorable, kept);
      world.tally.add('pruned backups', removed.length);
      world.tally.add('pruned objects', (outcome.document!['deleted'] as { objects: number }).objects);
      return { gone: removed };
    }
    // The newest is never removed, however far it came.
    const sequences = [...model.backups.values()].map(({ sequence }) => sequence);
    const newest = [...model.backups.values()].find(({ sequence }) => sequence === Math.max(...sequences));
    const gone = outcome.interrupted ? [...model.backups.keys()].filter((id) => id !== newest?.id) : [];
    const left = [...model.backups.keys()].filter((id) => !gone.includes(id) || repository.hasManifest(id));
    requireAllRestorable(world, restorable, left);
    return { gone };
  },
};

const restorableOf = ({ model, repository }: World): Set<string> =>
  new Set([...model.backups.keys()].filter((id) => repository.isRestorable(id)));

function requireAllRestorable({ repository }: World, before: ReadonlySet<string>, listed: readonly string[]): void {
  for (const id of listed) {
    require(!before.has(id) || repository.isRestorable(id), () => `prune took objects of backup ${id}, which stays`);
  }
}
