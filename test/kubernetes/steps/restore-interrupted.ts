import { randomInt } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { read, write } from '../contents.ts';
import { askByJob, endOfJob, forJson, startJob } from '../jobs.ts';

import type { Release } from '../release.ts';
import type { World } from '../world.ts';
import type { Backed } from './install.ts';

/** A pod is deleted in the middle of a restore: it ends with the backup's rows, or with those that were there. */
export async function restoreInterrupted(world: World, release: Release, { backup, contents }: Backed): Promise<void> {
  const { story } = world;
  await write(release, 'interrupted', 10);
  const there = await read(release);
  const words = ['restore', 'run', backup.id, '--yes'];
  const job = await startJob(story, release, forJson(words));
  await sleep(randomInt(2000, 9000));
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
