import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { memoryOf } from '../hosts.ts';
import { require } from '../violation.ts';
import { requireExit } from '../world.ts';
import { naming } from './backups.ts';
import type { Operation } from './operation.ts';

/** The newest manifest is not there: a host that has seen it must not take an older backup for the newest. */
export const hideNewest: Operation = {
  name: 'hide the newest backup',
  weight: (world) => (world.model.live === undefined || world.model.backups.size < 2 ? 0 : 2),
  run: async (world, chance) => {
    const newest = [...world.model.backups.values()].toSorted((a, b) => b.sequence - a.sequence)[0]!;
    const host = chance.oneOf(world.enrolled());
    const seen = memoryOf(host).highestSequence;
    const file = world.repository.manifestFile(newest.id);
    const aside = join(world.directory, 'hidden-manifest');
    renameSync(file, aside);
    try {
      if (seen < newest.sequence) return {};
      const restore = await world.run(host, ['restore', 'run', 'latest', '--yes']);
      requireExit(restore, [20], 'restore run latest while the newest backup is hidden');
      requireExit(await world.run(host, ['status']), [1], 'status while the newest backup is hidden');
      world.tally.add('refused: hidden backup');
    } finally {
      renameSync(aside, file);
    }
    return {};
  },
};

/** Without the owner's marker nothing is written, and everything can be read. */
export const loseMarker: Operation = {
  name: 'lose the marker',
  weight: ({ model }) => (model.live === undefined || model.backups.size === 0 ? 0 : 1),
  run: async (world, chance) => {
    const file = join(world.repository.directory, 'enclave-manager.json');
    const bytes = readFileSync(file);
    const backup = chance.oneOf([...world.model.backups.values()]);
    rmSync(file);
    if (chance.integer(1, 2) === 1) writeFileSync(file, bytes.subarray(0, bytes.length / 2));
    try {
      const host = world.anyEnrolled(chance);
      requireExit(
        await world.run(host, ['backup', 'create']),
        [12, 20, ...world.busyCodes()],
        'backup create without the marker',
      );
      requireExit(await world.run(host, ['status']), [1], 'status without the marker');
      const code = world.repository.isRestorable(backup.id) ? 0 : 20;
      requireExit(
        await world.run(host, ['backup', 'verify', backup.id, ...naming(world)]),
        [code],
        'backup verify without the marker',
      );
    } finally {
      rmSync(file, { force: true });
      writeFileSync(file, bytes, { mode: 0o600 });
    }
    world.tally.add('fault: marker lost');
    return {};
  },
};

/** What lies in the database, or in manifests, brings a lost document of the keyring back. */
export const loseKeyringDocument: Operation = {
  name: 'lose a document of the keyring',
  weight: ({ model }) => (model.live === undefined || model.backups.size === 0 ? 0 : 2),
  run: async (world, chance) => {
    // What was of a host that was evicted, or of a credential that was replaced, nobody needs.
    const { keyring } = await world.readCatalog();
    const needed = new Set(keyring.documents.map(({ path }) => path));
    const file = join(world.repository.directory, chance.oneOf([...needed].toSorted()));
    world.journal.note('keyring document lost', { file });
    const bytes = readFileSync(file);
    rmSync(file);
    await world.letLeasesExpire();
    requireExit(await world.run(world.anyEnrolled(chance), ['backup', 'create']), [0], `backup create without ${file}`);
    require(existsSync(file), () => `${file} did not come back`);
    require(readFileSync(file).equals(bytes), () => `${file} came back as another document`);
    world.tally.add('fault: keyring document lost');
    return {};
  },
};
