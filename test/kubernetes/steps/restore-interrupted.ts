import { read, write } from '../contents.ts';
import { askByJob, endOfJob, forJson, hasEnded, startJob } from '../jobs.ts';
import type { Release } from '../release.ts';
import type { World } from '../world.ts';
import type { Backed } from './install.ts';

const mostAttempts = 5;

/** The database's pod is deleted in the middle of a restore: it ends with the backup's rows, or with those that were there. */
export async function restoreInterrupted(world: World, release: Release, { backup, contents }: Backed): Promise<void> {
  const { story } = world;
  const words = ['restore', 'run', backup.id, '--yes'];
  const { there, job } = await beginRestore(world, release, words);
  await release.type(['delete', 'pod', `${release.database}-0`, '--grace-period=1']);
  const { succeeded, printed } = await endOfJob(release, job);
  story.say(`The restore ${succeeded ? 'ended well' : `failed: ${printed.trim().slice(-300)}`}`);
  await release.untilReady('cockroachdb');
  await release.untilReady('manager');
  const found = (await read(release)).join();
  const [old, restored] = [found === there.join(), found === contents.join()];
  story.say(`The rows are those of ${old ? 'before' : restored ? 'the backup' : 'neither'}`);
  story.check('all of the one or all of the other', succeeded ? restored : old || restored, true);
  if (!succeeded) await askByJob(story, release, words);
  await release.untilReady('manager');
  story.check('the rows of the backup are back', (await read(release)).join() === contents.join(), true);
}

/** Starts a restore, and looks on until its database lies beside the live one; a backup that is under way stops it before that. */
async function beginRestore(
  { story }: World,
  release: Release,
  words: readonly string[],
): Promise<{ readonly there: readonly string[]; readonly job: string }> {
  for (let attempt = 1; attempt <= mostAttempts; attempt++) {
    await write(release, `interrupted-${attempt}`, 10);
    const there = await read(release);
    const job = await startJob(story, release, forJson(words));
    if (await hasBegun(release, job)) return { there, job };
    await endOfJob(release, job);
    await release.untilReady('manager');
  }
  throw new Error(`no restore was seen in ${mostAttempts} attempts`);
}

async function hasBegun(release: Release, job: string): Promise<boolean> {
  const staged = `SELECT count(*) FROM pg_catalog.pg_database WHERE datname LIKE 'malbork\\_restore\\_%'`;
  for (;;) {
    if ((await release.sql(staged, { database: 'postgres' })).join() !== '0') return true;
    if (await hasEnded(release, job)) return false;
  }
}
