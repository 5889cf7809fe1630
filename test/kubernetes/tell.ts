import { install, writeAndBackUp } from './steps/install.ts';
import { restoreByHand } from './steps/restore-by-hand.ts';
import type { World } from './world.ts';

/** The story of one cluster, from its installation to what is left of it. */
export async function tell(world: World): Promise<void> {
  const { story } = world;
  const { release, bucket } = await story.step('Install, with a schedule that fires each minute', () => install(world));
  const backed = await story.step('Write, and see the backup in the bucket under its prefix', () =>
    writeAndBackUp(world, release, bucket, 'clusters/one/', 'first'),
  );
  await story.step('Restore by hand', () => restoreByHand(world, release, backed));
}
