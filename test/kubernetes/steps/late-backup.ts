import { read, write } from '../contents.ts';
import type { Release } from '../release.ts';
import { untilTold } from '../told.ts';
import { until } from '../waiting.ts';
import type { World } from '../world.ts';
import { nextScheduled, problems, seeInBucket, type Status } from './install.ts';

/** Installed without any backup value, and upgraded with them later: the empty bucket is adopted, at its root. */
export async function backUpLater(world: World): Promise<void> {
  const { story, storage } = world;
  const namespace = await world.createNamespace('late');
  await world.createHostKeys(namespace);
  // A name that contains the chart's.
  const release = world.release(namespace, 'my-enclave-manager');
  await release.install();
  await release.untilReady('cockroachdb');
  await release.untilReady('manager');
  const before = await release.ask<Status>('status');
  story.check('the repository is', before.repository, null);
  story.check('and says so', problems(before), ['no-repository']);
  await write(release, 'late', 50);
  const contents = await read(release);
  const bucket = world.name('late');
  await world.createCredentials(namespace);
  release.values = {
    ...release.values,
    ...world.backupValues(bucket),
    'enclaveos-chart.Backup.CronSchedule': '* * * * *',
  };
  await release.upgrade();
  story.say(`There is no such bucket yet, and the manager says: ${await untilTold(release, missing(bucket))}`);
  await storage.createBucket(bucket);
  await untilAdopted(release, bucket);
  await release.untilReady('manager');
  const backup = await nextScheduled(release, '');
  await seeInBucket(world, bucket, '', backup.id);
  story.check('the rows are the same', (await read(release)).join() === contents.join(), true);
  story.check('problems', problems(await release.ask<Status>('status')), []);
  await world.removeNamespace(namespace);
}

const missing = (bucket: string): RegExp => new RegExp(`[^"]*${bucket}[^"]*`);

async function untilAdopted(release: Release, bucket: string): Promise<void> {
  await until('managers that use the bucket', 240_000, async () => {
    const { repository } = await release.ask<Status>('status');
    return repository === `s3://${bucket}/` ? true : undefined;
  });
}
