import { read } from '../contents.ts';
import { askByJob } from '../jobs.ts';
import { noManagers, type Release } from '../release.ts';
import { untilTold } from '../told.ts';
import type { World } from '../world.ts';
import type { Backed } from './install.ts';

export const ownTables = `SELECT count(*) FROM pg_catalog.pg_tables WHERE schemaname = 'public'`;

/** The namespace is lost with all that was in it; another one gets an empty database, and no manager yet. */
export async function installAnew(world: World, lost: Release, name: string): Promise<Release> {
  await world.removeNamespace(lost.namespace);
  const namespace = await world.createNamespace(name);
  await world.createCredentials(namespace);
  await world.createHostKeys(namespace);
  const release = world.release(namespace, 'em', lost.values);
  await release.install(noManagers);
  await release.untilReady('cockroachdb');
  world.story.check('tables in the malbork of the new database', await release.sql(ownTables), ['0']);
  return release;
}

/** Everything in the cluster is gone; left are the bucket, the keys of the hosts, and the recovery line. */
export async function disaster(
  world: World,
  lost: Release,
  { backup, contents, clusterKey }: Backed,
): Promise<Release> {
  const { story } = world;
  const release = await installAnew(world, lost, 'after');
  await release.upgrade();
  story.say(`The manager waits: ${await untilTold(release, /[^"]*restore run latest/)}`);
  story.check('and has written nothing', await release.sql(ownTables), ['0']);
  const words = ['restore', 'run', backup.id, '--yes', '--cluster-key', clusterKey];
  const { backupId } = await askByJob<{ readonly backupId: string }>(story, release, words);
  story.check('restored', backupId, backup.id);
  await release.untilReady('manager');
  story.check('the rows of the backup are back', await read(release), contents);
  return release;
}
