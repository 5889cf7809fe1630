import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readSetting } from '#store/settings.ts';
import { openCluster } from '#operations/open-cluster.ts';
import { Scene } from '../attacks/stage.ts';
import { makeContext, makeHost, temporaryDirectory } from '../fixtures/host.ts';
import { comparedTables, makeSample, type Sample, secretSetting } from './sample.ts';

const releases = 'test/vectors/releases';
const making = process.env['MAKE_RELEASE_SAMPLE'];
const versions = [
  ...new Set([...(existsSync(releases) ? readdirSync(releases) : []), ...(making === undefined ? [] : [making])]),
];

const sampleOf = (version: string): Sample =>
  JSON.parse(readFileSync(join(releases, version, 'expected.json'), 'utf8')) as Sample;

/** The host of the sample as an empty machine: its key and its repository. */
function sceneOf(version: string, hostKey = sampleOf(version).hostKey): Scene {
  const directory = temporaryDirectory();
  mkdirSync(join(directory, 'keys'));
  writeFileSync(join(directory, 'keys/host.key'), Buffer.from(hostKey, 'hex'), { mode: 0o600 });
  cpSync(join(releases, version, 'repository'), join(directory, 'backups'), { recursive: true });
  return new Scene({ host: { directory } }, { remembers: false });
}

describe.each(versions)('a repository written by version %s', (version) => {
  it('is restored whole into a real database, each of its backups', async () => {
    if (making === version) await makeSample(join(releases, version));
    const { backups, clusterKey } = sampleOf(version);
    expect(backups.length).toBeGreaterThan(1);
    for (const { id, sequence, rows, tables } of backups) {
      const scene = sceneOf(version);
      const { document } = await scene.succeed('restore', 'run', id, '--yes', '--cluster-key', clusterKey);
      expect(document).toMatchObject({ backupId: id, sequence, rows });
      const restored = (await scene.rows())!;
      for (const table of comparedTables) expect(restored[table], table).toEqual(tables[table]);
      expect(restored['settings']).toHaveLength(4);
      expect(await secretIn(scene)).toBe(secretSetting.secret);
    }
  });

  it('goes on: a backup is added to it, and is the newest', async () => {
    const { backups, clusterKey } = sampleOf(version);
    const newest = Math.max(...backups.map(({ sequence }) => sequence));
    const scene = sceneOf(version);
    await scene.succeed('restore', 'run', 'latest', '--yes', '--cluster-key', clusterKey);
    expect((await scene.succeed('backup', 'create')).document).toMatchObject({ sequence: newest + 1 });
    expect((await scene.succeed('backup', 'list')).document).toMatchObject([
      { sequence: newest + 1, authentic: true },
      {},
      {},
    ]);
  });
});

const evictions = versions.flatMap((version) => {
  if (!existsSync(join(releases, version, 'expected.json'))) return [];
  const { members, evictedKey, clusterKey } = sampleOf(version);
  return members === undefined || evictedKey === undefined ? [] : [{ version, members, evictedKey, clusterKey }];
});

it.each(evictions)('the host that is evicted in $version stays out', async ({ version, ...sample }) => {
  const run = ['restore', 'run', 'latest', '--yes', '--cluster-key', sample.clusterKey];
  expect(await sceneOf(version, sample.evictedKey).fail(...run)).toMatchObject({ exitCode: 40 });
  // The membership that still names it, and no other.
  const scene = sceneOf(version);
  const others = readdirSync(scene.file('keyring/members')).filter((name) => name !== '3.json');
  expect(others.length).toBeGreaterThanOrEqual(4);
  scene.remove(...others.map((name) => `keyring/members/${name}`));
  await scene.succeed(...run);
  const { document } = await scene.succeed('node', 'list');
  expect((document as { name: string }[]).map(({ name }) => name)).toEqual(sample.members);
});

async function secretIn({ dataDirectory, database }: Scene): Promise<string | undefined> {
  const host = await makeHost({ directory: dataDirectory, liveName: database });
  const cluster = await openCluster(makeContext(), host);
  try {
    return (await readSetting(cluster.database.queries, cluster.keyring, secretSetting.name))?.secret?.toString();
  } finally {
    await cluster.database.close();
    await host.server.close();
  }
}
