import { disaster } from './steps/disaster.ts';
import { enrolAndEvict } from './steps/enrol-and-evict.ts';
import { helmTest } from './steps/helm-test.ts';
import { install, writeAndBackUp } from './steps/install.ts';
import { backUpLater } from './steps/late-backup.ts';
import { disasterByHand, restoreByHand } from './steps/restore-by-hand.ts';
import { restoreByJob } from './steps/restore-by-job.ts';
import { restoreInterrupted } from './steps/restore-interrupted.ts';
import { rotateCredentials } from './steps/rotate-credentials.ts';
import { uninstall } from './steps/uninstall.ts';
import { upgradeAndRollBack } from './steps/upgrade.ts';
import type { World } from './world.ts';

/** The story of one cluster, from its installation to what is left of it. */
export async function tell(world: World): Promise<void> {
  const { story } = world;
  const { release, bucket } = await story.step('Install, with a schedule that fires each minute', () => install(world));
  const first = await story.step('Write, and see the backup in the bucket under its prefix', () =>
    writeAndBackUp(world, release, bucket, 'clusters/one/', 'first'),
  );
  await story.step('helm test', () => helmTest(world, release));
  await story.step('Restore by a job, with the managers running', () => restoreByJob(world, release, first));
  await story.step('Restore by a job, and delete the database in the middle', () =>
    restoreInterrupted(world, release, first),
  );
  await story.step('Restore by hand', () => restoreByHand(world, release, first));
  await story.step('Upgrade and roll back, while pods are deleted at random', () => upgradeAndRollBack(world, release));
  await story.step('Another key in the secret', () => rotateCredentials(world, release));
  if (world.options.storageAddress === undefined) story.say('No TPM joins: without --storage-address there is none');
  else await story.step('A second host, with a TPM, joins and is evicted', () => enrolAndEvict(world, release, bucket));
  const second = await story.step('Write again, and see the next backup', () =>
    writeAndBackUp(world, release, bucket, 'clusters/one/', 'second'),
  );
  const byHand = await story.step('Disaster: nothing is left but the bucket and the keys of the hosts. By hand', () =>
    disasterByHand(world, release, second),
  );
  const after = await story.step('Once more. By a job', () => disaster(world, byHand, second));
  await story.step('Uninstall: volume and bucket stay', () => uninstall(world, after, bucket));
  await story.step('Installed without backups, and with them later', () => backUpLater(world));
}
