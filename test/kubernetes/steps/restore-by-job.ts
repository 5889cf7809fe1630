import { read, write } from '../contents.ts';
import { askByJob } from '../jobs.ts';
import type { Release } from '../release.ts';
import type { World } from '../world.ts';
import type { Backed } from './install.ts';

interface Restored {
  readonly backupId: string;
  readonly rows: number;
  readonly safetyBackupId: string | null;
  readonly beforeDatabase: string | null;
}

/** With the managers running: they step aside for the swap and come back by themselves. */
export async function restoreByJob(world: World, release: Release, { backup, contents }: Backed): Promise<void> {
  const { story } = world;
  await write(release, 'lost-again', 10);
  const before = await release.containers('manager');
  const restored = await askByJob<Restored>(story, release, ['restore', 'run', backup.id, '--yes']);
  story.check('restored', restored.backupId, backup.id);
  story.check('what was there is safe in a backup', restored.safetyBackupId !== null, true);
  await release.untilReady('manager');
  story.check('the rows of the backup are back', await read(release), contents);
  const names = await release.sql(
    `SELECT datname FROM pg_catalog.pg_database WHERE datname LIKE 'malbork%' ORDER BY 1`,
  );
  story.check('databases', names, ['malbork', restored.beforeDatabase]);
  const after = await release.containers('manager');
  story.check('the managers are the same pods', after, before);
}
