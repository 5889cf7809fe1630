import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { read, write } from '../contents.ts';
import { runJob, startJob } from '../jobs.ts';
import type { Release } from '../release.ts';
import type { World } from '../world.ts';
import type { Backed, Status } from './install.ts';

const byHand = { 'enclaveos-chart.Manager.ReplicaCount': '0', 'enclaveos-chart.CockroachDB.Insecure': 'true' };

/** The published manual restore, command by command. */
export async function restoreByHand(world: World, release: Release, { backup, contents }: Backed): Promise<void> {
  const { story } = world;
  await write(release, 'lost', 10);
  story.check(
    'rows that the backup has not',
    (await read(release)).length > 0 && differs(await read(release), contents),
    true,
  );
  const plan = await runJob(story, release, ['restore', 'plan', backup.id, '--json']);
  const { openers, obstacles } = JSON.parse(plan) as { openers?: unknown[]; obstacles: unknown[] };
  story.say(`Who can open it: ${JSON.stringify(openers)}`);
  story.check('what would stop a restore', obstacles, []);
  await release.upgrade(byHand);
  await release.untilReady('manager', 0);
  await release.untilReady('cockroachdb');
  const directory = mkdtempSync(join(tmpdir(), 'em-export-'));
  try {
    const file = join(directory, 'backup.sql');
    await exportTo(world, release, backup.id, file);
    await replay(world, release, file);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
  await release.upgrade();
  await release.untilReady('cockroachdb');
  await release.untilReady('manager');
  story.check('the rows of the backup are back', await read(release), contents);
  story.check(
    'marker of the import',
    await release.sql(`SELECT count(*) FROM pg_catalog.pg_tables WHERE tablename = 'import_marker'`),
    ['0'],
  );
  const { findings } = await release.ask<Status>('status');
  story.check(
    'problems',
    findings.filter(({ severity }) => severity === 'problem').map(({ code }) => code),
    [],
  );
}

async function exportTo({ story }: World, release: Release, id: string, file: string): Promise<void> {
  const job = await startJob(story, release, ['backup', 'export', id, '--format', 'sql']);
  const pod = await release.kubectl([
    'get',
    'pods',
    '-l',
    `job-name=${job}`,
    '-o',
    'jsonpath={.items[0].metadata.name}',
  ]);
  await release.type(['wait', '--for=condition=ready', 'pod', '-l', `job-name=${job}`, '--timeout=120s']);
  await release.type(['cp', `${pod}:/export/backup.sql`, file]);
  await release.kubectl(['delete', 'job', job, '--timeout=90s']);
  story.check('the export is SQL', readFileSync(file, 'utf8').includes('CREATE TABLE'), true);
  story.say(`${statSync(file).size} bytes of SQL`);
}

async function replay({ story }: World, release: Release, file: string): Promise<void> {
  const pod = `${release.database}-0`;
  await release.type(['cp', file, `${pod}:/cockroach`]);
  story.say('drop database malbork cascade; create database malbork;');
  await release.type(['exec', '-i', pod, '--', './cockroach', 'sql', '--insecure'], {
    input: 'drop database malbork cascade; create database malbork;\n',
  });
  const tables = await release.sql(`SELECT count(*) FROM pg_catalog.pg_tables WHERE schemaname = 'public'`);
  story.check('tables in the new malbork', tables, ['0']);
  await release.type(['exec', '-i', pod, '--', 'bash', '-c', './cockroach sql --insecure -d malbork < backup.sql']);
}

const differs = (left: readonly string[], right: readonly string[]): boolean => left.join() !== right.join();
