import { helmTest } from './steps/helm-test.ts';
import { install, writeAndBackUp } from './steps/install.ts';
import { restoreByHand } from './steps/restore-by-hand.ts';
import { restoreByJob } from './steps/restore-by-job.ts';
import { restoreInterrupted } from './steps/restore-interrupted.ts';
import { rotateCredentials } from './steps/rotate-credentials.ts';
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
}
