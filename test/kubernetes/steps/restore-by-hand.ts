import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { read, write } from '../contents.ts';
import { askByJob, startJob } from '../jobs.ts';
import { noManagers, type Release } from '../release.ts';
import { untilTold } from '../told.ts';
import type { World } from '../world.ts';
import { installAnew, ownTables } from './disaster.ts';
import { problems, type Backed, type Status } from './install.ts';

/** The published manual restore, command by command, with a database that is opened for it. */
export async function restoreByHand(world: World, release: Release, backed: Backed): Promise<void> {
  const { story } = world;
  await write(release, 'lost', 10);
  story.check('the backup has other rows', (await read(release)).join() !== backed.contents.join(), true);
  const plan = ['restore', 'plan', backed.backup.id];
  const { openers, obstacles } = await askByJob<{ openers: { name: string }[]; obstacles: string[] }>(
    story,
    release,
    plan,
  );
  story.check('who can open it', openers.map(({ name }) => name).length > 0, true);
  story.check('what would stop a restore', obstacles, []);
  await release.upgrade({ ...noManagers, 'enclaveos-chart.CockroachDB.Insecure': 'true' });
  await release.type(['wait', '--for=delete', 'pod', '-l', release.selector('manager'), '--timeout=110s']);
  await release.untilReady('manager', 0);
  await release.untilReady('cockroachdb');
  await replayExport(world, release, backed.backup.id, './cockroach sql --insecure');
  await release.upgrade();
  await seeRestored(world, release, backed);
}

/** Nothing is left but the bucket and the keys of the hosts: by hand, with certificates between managers and database. */
export async function disasterByHand(world: World, lost: Release, backed: Backed): Promise<Release> {
  const { story } = world;
  const release = await installAnew(world, lost, 'by-hand');
  await replayExport(world, release, backed.backup.id, './cockroach sql');
  await release.upgrade();
  // Its directory is another one, so this host has no memory of the cluster.
  story.say(`The manager waits: ${await untilTold(release, /[^"]*accept-import[^"]*/)}`);
  await release.untilReady('cockroachdb');
  const accept = ['database', 'accept-import', '--cluster-key', backed.clusterKey, '--yes'];
  await release.type(['exec', `deploy/${release.managers}`, '--', 'enclave-manager', ...accept]);
  await seeRestored(world, release, backed);
  return release;
}

async function replayExport(world: World, release: Release, id: string, shell: string): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'em-export-'));
  try {
    const file = join(directory, 'backup.sql');
    await exportTo(world, release, id, file);
    await replay(world, release, file, shell);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

async function exportTo({ story }: World, release: Release, id: string, file: string): Promise<void> {
  const job = await startJob(story, release, ['backup', 'export', id, '--format', 'sql']);
  await release.type(['wait', '--for=jsonpath={.status.ready}=1', `job/${job}`, '--timeout=110s']);
  const ofJob = ['-l', `job-name=${job}`, '-o', 'jsonpath={.items[0].metadata.name}'];
  const pod = await release.kubectl(['get', 'pods', ...ofJob]);
  await release.type(['cp', `${pod}:/export/backup.sql`, file]);
  await release.kubectl(['delete', 'job', job, '--timeout=90s']);
  story.check('the export is SQL', readFileSync(file, 'utf8').includes('CREATE TABLE'), true);
  story.say(`${statSync(file).size} bytes`);
}

async function replay({ story }: World, release: Release, file: string, shell: string): Promise<void> {
  const pod = `${release.database}-0`;
  const statements = 'drop database malbork cascade; create database malbork;';
  await release.type(['cp', file, `${pod}:/cockroach`]);
  await release.type(['exec', '-i', pod, '--', ...shell.split(' ')], { input: `${statements}\n` });
  story.say(`> ${statements}`);
  story.check('tables in the new malbork', await release.sql(ownTables), ['0']);
  await release.type(['exec', '-i', pod, '--', 'bash', '-c', `${shell} -d malbork < backup.sql`]);
}

async function seeRestored({ story }: World, release: Release, { contents }: Backed): Promise<void> {
  await release.untilReady('cockroachdb');
  await release.untilReady('manager');
  story.check('the rows of the backup are back', (await read(release)).join() === contents.join(), true);
  const marker = `SELECT count(*) FROM pg_catalog.pg_tables WHERE tablename = 'import_marker'`;
  story.check('marker of the import', await release.sql(marker), ['0']);
  story.check('problems', problems(await release.ask<Status>('status')), []);
}
