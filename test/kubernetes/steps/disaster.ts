import { read } from '../contents.ts';
import { askByJob } from '../jobs.ts';
import type { Release } from '../release.ts';
import { untilTold } from '../told.ts';
import type { World } from '../world.ts';
import type { Backed } from './install.ts';

/** Everything in the cluster is gone; left are the bucket, the keys of the hosts, and the recovery line. */
export async function disaster(
  world: World,
  lost: Release,
  { backup, contents, clusterKey }: Backed,
): Promise<Release> {
  const { story } = world;
  await world.removeNamespace(lost.namespace);
  const namespace = await world.createNamespace('after');
  await world.createCredentials(namespace);
  await world.createHostKeys(namespace);
  const release = world.release(namespace, 'em', lost.values);
  await release.install({ 'enclaveos-chart.Manager.ReplicaCount': '0' });
  await release.untilReady('cockroachdb');
  const tables = `SELECT count(*) FROM pg_catalog.pg_tables WHERE schemaname = 'public'`;
  story.check('tables in the malbork of the new database', await release.sql(tables), ['0']);
  await release.upgrade();
  story.say(`The manager waits: ${await untilTold(release, /[^"]*restore run latest/)}`);
  story.check('and has written nothing', await release.sql(tables), ['0']);
  const words = ['restore', 'run', backup.id, '--yes', '--cluster-key', clusterKey];
  const { backupId } = await askByJob<{ readonly backupId: string }>(story, release, words);
  story.check('restored', backupId, backup.id);
  await release.untilReady('manager');
  story.check('the rows of the backup are back', await read(release), contents);
  return release;
}
