import { read, write } from '../contents.ts';
import type { Release } from '../release.ts';
import { until } from '../waiting.ts';
import type { World } from '../world.ts';

const nextScheduledLimitMs = 240_000;

export interface ListedBackup {
  readonly id: string;
  readonly kind: string;
  readonly startedAt: string;
  readonly authentic: boolean | 'unknown';
  readonly verified: { readonly level: string } | null;
  readonly openableBy: readonly string[];
}

/** What stays when everything is lost: the bucket with its contents, and what an operator noted. */
export interface Backed {
  readonly bucket: string;
  readonly prefix: string;
  readonly backup: ListedBackup;
  readonly contents: readonly string[];
  readonly clusterKey: string;
}

export interface Status {
  readonly clusterKey: string;
  readonly findings: readonly { readonly code: string; readonly severity: string }[];
  readonly lastBackup: ListedBackup | null;
  readonly openers: readonly { readonly name: string }[];
  readonly repository: string | null;
  readonly schedules: { readonly backup: { readonly schedule: string | null } };
}

export const problems = ({ findings }: Status): string[] =>
  findings.filter(({ severity }) => severity === 'problem').map(({ code }) => code);

/** The published steps of the backup set-up, with a schedule that fires each minute. */
export async function install(world: World): Promise<{ release: Release; bucket: string }> {
  const { story, storage } = world;
  const bucket = world.name('backups');
  await storage.createBucket(bucket);
  story.say(`An empty bucket ${bucket} at ${storage.endpoint}; hosts: ${world.hosts.join(', ')}`);
  const namespace = await world.createNamespace('main');
  await world.createCredentials(namespace);
  await world.createHostKeys(namespace);
  const values = world.backupValues(bucket, {
    'enclaveos-chart.Backup.CronSchedule': '* * * * *',
    'enclaveos-chart.Backup.S3Prefix': '/clusters/one/',
  });
  const release = world.release(namespace, 'em', values);
  await release.install();
  await release.untilReady('cockroachdb');
  await release.untilReady('manager');
  const status = await release.ask<Status>('status');
  story.check('the repository is', status.repository, `s3://${bucket}/clusters/one/`);
  story.check('hosts that open the backups', status.openers.map(({ name }) => name).length, 1);
  return { release, bucket };
}

/** Rows are written, and the schedule takes a backup with them. */
export async function writeAndBackUp(
  world: World,
  release: Release,
  bucket: string,
  prefix: string,
  rows: string,
): Promise<Backed> {
  const { story } = world;
  await write(release, rows, 200);
  const contents = await read(release);
  const backup = await nextScheduled(release, new Date().toISOString());
  story.say(`Written: ${contents.join('; ')}`);
  story.check('the backup is from', backup.kind, 'scheduled');
  story.check('signed by this cluster', backup.authentic, true);
  story.check('read back', backup.verified?.level, 'new-chunks');
  await seeInBucket(world, bucket, prefix, backup.id);
  const { clusterKey } = await release.ask<Status>('status');
  return { bucket, prefix, backup, contents, clusterKey };
}

/** The newest scheduled backup that began after a time. It is listed before it is read back. */
export async function nextScheduled(release: Release, after: string): Promise<ListedBackup> {
  return await until('a scheduled backup', nextScheduledLimitMs, async () => {
    const list = await release.ask<ListedBackup[]>('backup', 'list');
    return list.find(({ kind, startedAt, verified }) => kind === 'scheduled' && startedAt > after && verified !== null);
  });
}

export async function seeInBucket(
  { story, storage }: World,
  bucket: string,
  prefix: string,
  id: string,
): Promise<void> {
  const keys = await storage.list(bucket, '');
  const inside = keys.filter((key) => key.startsWith(prefix));
  const rooms = new Set(inside.map((key) => key.slice(prefix.length).split('/')[0]));
  story.check(`objects in the bucket outside ${prefix === '' ? 'its root' : prefix}`, keys.length - inside.length, 0);
  story.check(
    'what lies there',
    ['backups', 'chunks', 'enclave-manager.json', 'keyring'].filter((name) => rooms.has(name)),
    ['backups', 'chunks', 'enclave-manager.json', 'keyring'],
  );
  story.check('the manifest is an object', inside.includes(`${prefix}backups/${id}.json`), true);
  const manifest = await storage.read(bucket, `${prefix}backups/${id}.json`);
  story.check('and names the backup', manifest.includes(id), true);
}
