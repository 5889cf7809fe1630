import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { stateOf } from '../state.ts';
import { writes } from '../writes.ts';
import { requireExit, type World } from '../world.ts';
import { chooseBackup } from './backups.ts';
import type { Operation } from './operation.ts';

/** `unshare -rm`: user namespaces are forbidden on some machines. */
const namespacesForbidden = spawnSync('unshare', ['-rm', 'true']).status !== 0;

/**
 * The repository on a disk of its own that is as good as full: a small tmpfs, which only the command sees, with a copy
 * of everything. What lies on it in the end is then brought to the real place.
 */
const onSmallDisk = `
set -e
size=$1 repository=$2 place=$3
shift 3
mount --bind "$repository" "$place/real"
mount -t tmpfs -o size="$size" tmpfs "$place/small"
cp -a "$place/real/." "$place/small/"
mount --bind "$place/small" "$repository"
set +e
"$@"
code=$?
cp -a -n "$place/small/." "$place/real/" || exit 99
exit $code`;

export const fillDisk: Operation = {
  name: 'the disk of the repository is full',
  unavailable: namespacesForbidden ? 'no small disk can be mounted: unshare -rm is forbidden' : undefined,
  weight: ({ model, place }) =>
    model.live === undefined || model.backups.size === 0 || place.kind === 'embedded' ? 0 : 3,
  run: async (world, chance) => {
    const { model } = world;
    model.live = await world.withDatabase((database, keyring) =>
      database.transaction(async (queries) => {
        await writes['add much']!(queries, keyring, chance);
        return await stateOf(queries, keyring);
      }),
    );
    const place = join(world.directory, 'small-disk');
    for (const name of ['real', 'small']) mkdirSync(join(place, name), { recursive: true });
    const size = usedBytes(world) + chance.integer(8, 300) * 1024;
    const backup = chooseBackup(world, chance);
    const words = chance.oneOf([
      ['backup', 'create'],
      ['backup', 'create'],
      ['restore', 'run', backup.id, '--yes', '--cluster-key', model.clusterKey!],
    ]);
    await world.letLeasesExpire();
    const within = ['unshare', '-rm', 'sh', '-c', onSmallDisk, 'sh', String(size), world.repository.directory, place];
    const outcome = await world.run(world.anyEnrolled(chance), words, { within: within as [string, ...string[]] });
    const isRestore = words[0] === 'restore';
    const lost = isRestore && !world.repository.isRestorable(backup.id);
    requireExit(outcome, [0, 16, ...(lost ? [20] : [])], `${words.join(' ')} on a full disk`);
    if (outcome.exitCode === 16) world.tally.add('fault: full disk');
    rmSync(place, { recursive: true, force: true });
    const before = model.live;
    return {
      live: isRestore && outcome.exitCode === 0 ? backup.states : [],
      liveChanged: isRestore && outcome.exitCode === 0,
      backups: before === undefined ? [] : [before],
    };
  },
};

/** As a tmpfs counts: whole pages. */
function usedBytes({ repository }: World): number {
  const page = 4096;
  let pages = 8;
  for (const entry of readdirSync(repository.directory, { recursive: true, withFileTypes: true })) {
    pages += entry.isFile() ? Math.ceil(statSync(join(entry.parentPath, entry.name)).size / page) : 1;
  }
  return pages * page;
}
