import { setTimeout as sleep } from 'node:timers/promises';
import { read } from '../contents.ts';
import { deletePodsMeanwhile } from '../deletions.ts';
import type { Release } from '../release.ts';
import { until } from '../waiting.ts';
import type { World } from '../world.ts';
import type { Status } from './install.ts';

const deletingMs = 30_000;

const certificates = (release: Release): Promise<string> =>
  release.kubectl(['get', 'secret', `${release.database}-certificates`, '-o', 'jsonpath={.data}']);

/** An upgrade and a rollback, while pods are deleted at random. */
export async function upgradeAndRollBack(world: World, release: Release): Promise<void> {
  const { story } = world;
  const contents = await read(release);
  const given = await certificates(release);
  const twice = { 'enclaveos-chart.Backup.CronSchedule': '0 0,12 * * *' };
  await amongDeletions(world, release, () => release.upgrade(twice));
  await untilScheduled(release, '0 0,12 * * *');
  await amongDeletions(world, release, () => release.helm('rollback', release.name));
  await untilScheduled(release, '* * * * *');
  await release.untilReady('cockroachdb');
  await release.untilReady('manager');
  story.check('the rows are the same', (await read(release)).join() === contents.join(), true);
  story.check('the certificates are the same', (await certificates(release)) === given, true);
}

async function amongDeletions({ story }: World, release: Release, change: () => Promise<unknown>): Promise<void> {
  const deletions = deletePodsMeanwhile(release);
  await change();
  await sleep(deletingMs);
  const deleted = await deletions.stop();
  story.say(`Deleted meanwhile: ${deleted.join(', ')}`);
  story.check('pods were deleted', deleted.length > 0, true);
}

/** Pods may be deleted in between, so the question is asked until there is somebody to answer it. */
async function untilScheduled(release: Release, schedule: string): Promise<void> {
  await until(`managers with the schedule ${schedule}`, 300_000, async () => {
    const { schedules } = await release.ask<Status>('status');
    return schedules.backup.schedule === schedule ? true : undefined;
  });
}
