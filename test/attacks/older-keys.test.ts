import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { sql } from 'kysely';
import { beforeAll, describe, expect, it } from 'vitest';
import { manifestPath } from '#format/layout.ts';
import type { KeyringDocument } from '#keys/keyring.ts';
import type { Openability } from '#model/openability.ts';
import { acceptDatabase } from '#operations/accept-database.ts';
import { createBackup, type BackupResult } from '#operations/create-backup.ts';
import { openOrCreateCluster } from '#operations/open-cluster.ts';
import { openRepository, readKeyringDocuments } from '#operations/open-repository.ts';
import type { Status } from '#operations/read-status.ts';
import { restore } from '#operations/restore.ts';
import { rotateKeys } from '#operations/rotate-keys.ts';
import { makeCluster } from '../fixtures/cluster.ts';
import { makeContext, makeHost, temporaryDirectory, type TestHost } from '../fixtures/host.ts';
import { enrolHosts, withCluster } from '../fixtures/hosts.ts';
import { freshDatabaseName } from '../fixtures/postgresql.ts';
import { objectFile, storeWith } from '../fixtures/repository.ts';
import { confirmed } from '../fixtures/restoring.ts';
import { addUsers } from '../fixtures/rows.ts';
import { edit } from './attacker.ts';
import { expectRefused, Scene } from './stage.ts';

const context = makeContext();
const secondEpoch = 'keyring/epochs/2/epoch.json';
const run = ['restore', 'run', 'latest', '--yes'];

let host: TestHost;
let second: TestHost;
let older: BackupResult;
let fresh: BackupResult;
let documents: readonly KeyringDocument[];
/** What lies under `keyring/` since the keys were changed. */
let newer: string[];
/** The bucket as it was before. */
let bucketBefore: string;

/** host-b was off while host-a changed the keys, and each of the two times has a backup. */
beforeAll(async () => {
  host = await makeHost();
  const { cluster } = await openOrCreateCluster(context, host);
  await addUsers(cluster.database, 20);
  await cluster.database.close();
  [second] = (await enrolHosts(host, ['host-b'])) as [TestHost];
  older = await withCluster(host, (opened) => createBackup(context, opened, { kind: 'manual' }));
  const known = new Set((await readKeyringDocuments(host.store)).map(({ path }) => path));
  bucketBefore = temporaryDirectory();
  cpSync(objectFile(host, ''), bucketBefore, { recursive: true });
  await withCluster(host, (opened) => rotateKeys(context, host, opened));
  fresh = await withCluster(host, (opened) => createBackup(context, opened, { kind: 'manual' }));
  documents = await readKeyringDocuments(host.store);
  newer = documents.map(({ path }) => path).filter((path) => !known.has(path));
  expect(newer).toContain(secondEpoch);
  expect([older.sequence, fresh.sequence]).toEqual([1, 2]);
}, 240_000);

/** The new key and the credential that host-a sealed with it, or all that is new. */
const lost = {
  some: () => newer.filter((path) => path === secondEpoch || path.includes('/nodes/')),
  all: () => newer,
};

const named = () => ['--cluster-key', fresh.clusterKey];
const rot = Buffer.from('bit rot');

/** As many manifests as `count`, with names that come before every genuine one, and whatever keyring anybody can copy. */
function plantJunk(scene: Scene, count: number, copies: readonly KeyringDocument[]): void {
  const keyring = copies.map(({ path, bytes }) => ({ path, bytes: bytes.toString('base64') }));
  const bytes = edit(scene.read(manifestPath(fresh.id)), (payload) => ({ ...payload, keyring }));
  for (let index = 0; index < count; index += 1)
    scene.plant(manifestPath(`20990101T0${String(10_000 + index)}Z-aaaaaa`), bytes);
}

describe('what the keys of today need, deleted under keyring/', () => {
  it.each(['some', 'all'] as const)(
    'does not bring an older backup in place of a live database that has the keys (%s)',
    async (which) => {
      const scene = new Scene({ host }, { database: host.server.liveName });
      scene.remove(...lost[which]());

      const { document } = await scene.succeed(...run);
      expect(document).toMatchObject({ backupId: fresh.id, sequence: 2 });
    },
  );

  it.each(['some', 'all'] as const)(
    'is taken from the manifests, where the database is gone as well (%s)',
    async (which) => {
      for (const scene of [new Scene({ host }), new Scene({ host }, { remembers: false })]) {
        scene.remove(...lost[which]());
        const { document: listed } = await scene.succeed('backup', 'list', ...named());
        expect(listed).toMatchObject([
          { id: fresh.id, authentic: true },
          { id: older.id, authentic: true },
        ]);
        const { document } = await scene.succeed(...run, ...named());
        expect(document).toMatchObject({ backupId: fresh.id });
      }
      const alone = new Scene({ host });
      alone.remove(...lost[which]());
      expect((await alone.succeed(...run)).document).toMatchObject({ backupId: fresh.id });
    },
  );

  it.each([
    ['lost', (scene: Scene) => scene.remove(secondEpoch)],
    ['bit rot', (scene: Scene) => scene.plant(secondEpoch, rot)],
    ['all of it', (scene: Scene) => scene.remove(...newer)],
  ])(
    'is found by a host that was off, which restores the newest backup under the named key (%s)',
    async (_, damage) => {
      const scene = new Scene({ host: second }, { repositoryOf: host });
      damage(scene);

      const message = new RegExp(`leads on to ${fresh.clusterKey.replaceAll(/[+/]/g, '.')}`);
      await expectRefused(scene, { exitCode: 2, code: 'usage', message }, ...run);
      const { document } = await scene.succeed(...run, ...named());
      expect(document).toMatchObject({ backupId: fresh.id });
    },
  );

  it('is found behind manifests that anybody can write, with copies of what is public', async () => {
    const scene = new Scene({ host: second }, { repositoryOf: host });
    const before = documents.filter(({ path }) => !newer.includes(path));
    const tip = documents.filter(({ path }) => path === secondEpoch);
    expect([before.length > 5, tip.length]).toEqual([true, 1]);
    scene.remove(...newer);
    plantJunk(scene, 20, before);
    plantJunk(scene, 6, tip);
    for (let index = 0; index < 6; index += 1)
      scene.plant(manifestPath(`20990201T00000${index}Z-aaaaaa`), scene.read(manifestPath(older.id)));

    const message = new RegExp(`leads on to ${fresh.clusterKey.replaceAll(/[+/]/g, '.')}`);
    await expectRefused(scene, { exitCode: 2, code: 'usage', message }, ...run);
    expect((await scene.succeed(...run, ...named())).document).toMatchObject({ backupId: fresh.id });
    scene.expectPlanted();
  });

  it('costs the reading of a few manifests where nothing is lost', async () => {
    const six = await makeCluster();
    for (let made = 0; made < 6; made += 1) await createBackup(context, six.cluster, { kind: 'manual' });
    const read: string[] = [];
    const { store } = six.host;
    const counting = storeWith(store, {
      get: async (key, options) => {
        if (key.startsWith('backups/')) read.push(key);
        return await store.get(key, options);
      },
    });
    const { keyring } = await openRepository(counting, six.host.sealing);
    expect(keyring.fingerprint).toBe(six.cluster.keyring.fingerprint);
    expect(read).toHaveLength(4);
  });
});

describe('a document of the keys of today, lost under keyring/ beside the live database', () => {
  it.each([
    ['missing in the repository', (scene: Scene) => scene.remove(secondEpoch)],
    ['not what the cluster signed', (scene: Scene) => scene.plant(secondEpoch, rot)],
  ])('makes status unhealthy and is said by openability, until it is put back (%s)', async (what, damage) => {
    const scene = new Scene({ host }, { database: host.server.liveName });
    const message = `${secondEpoch} is ${what}`;
    const finding = { code: 'keyring-incomplete', message, hint: expect.stringContaining('backup create') };
    const problems = async () => {
      const { findings } = JSON.parse((await scene.run('status', '--json')).stdout) as Pick<Status, 'findings'>;
      return findings.filter(({ code }) => code.startsWith('keyring-'));
    };
    expect(await problems()).toEqual([]);
    damage(scene);

    expect(await problems()).toEqual([{ severity: 'problem', ...finding }]);
    expect((await scene.run('status')).exitCode).toBe(1);
    const { warnings } = JSON.parse((await scene.run('openability', '--json')).stdout) as Pick<Openability, 'warnings'>;
    expect(warnings.filter(({ code }) => code === finding.code)).toEqual([finding]);
    if (what.startsWith('not')) scene.remove(secondEpoch);
    await scene.succeed('backup', 'create');
    expect(scene.read(secondEpoch)).toEqual(documents.find(({ path }) => path === secondEpoch)!.bytes);
    expect(await problems()).toEqual([]);
  });
});

describe('manifests that somebody signed with the keys of before, beside a newer one that carries those of today', () => {
  it('hide them from nobody, however many they are', async () => {
    const directory = temporaryDirectory();
    cpSync(second.directory, directory, { recursive: true });
    const holder = await makeHost({ directory, repository: bucketBefore, liveName: freshDatabaseName() });
    await restore(context, holder, confirmed);
    await withCluster(holder, async (opened) => {
      for (let index = 0; index < 6; index += 1) await createBackup(context, opened, { kind: 'manual' });
    });
    const scene = new Scene({ host: second }, { repositoryOf: host });
    scene.remove(...newer);
    for (const part of ['backups', 'chunks', 'verifications'])
      cpSync(join(bucketBefore, part), scene.file(part), { recursive: true });

    const message = new RegExp(`backups/${fresh.id}.json carries a newer cluster key`);
    await expectRefused(scene, { exitCode: 20, code: 'forged', message }, ...run);
    for (const words of [
      ['backup', 'verify', 'latest'],
      ['backup', 'drill', 'latest'],
      ['backup', 'export', 'latest', '--format', 'sql', '--output', join(temporaryDirectory(), 'malbork.sql')],
    ])
      await expectRefused(scene, { exitCode: 20, code: 'forged', message }, ...words);
    const listed = (await scene.succeed('backup', 'list')).document as { authentic: unknown }[];
    expect(new Set(listed.map(({ authentic }) => authentic))).toEqual(new Set(['unknown']));
    // The mark is not raised by what was signed with keys of before.
    const { document } = await scene.succeed(...run, ...named());
    expect(document).toMatchObject({ backupId: fresh.id, sequence: 2 });
  });

  it('keep a database from before from backing up, and from being accepted', async () => {
    const holder = await makeHost({
      directory: temporaryDirectory(),
      repository: bucketBefore,
      liveName: freshDatabaseName(),
    });
    cpSync(join(host.directory, 'keys'), join(holder.directory, 'keys'), { recursive: true });
    const scene = new Scene({ host }, { remembers: false });
    scene.remove(...newer);
    const beside = await makeHost({
      directory: holder.directory,
      repository: bucketBefore,
      liveName: holder.server.liveName,
    });
    await restore(context, beside, { ...confirmed, backup: older.id });
    const onBucket = await makeHost({
      directory: holder.directory,
      repository: scene.repository,
      liveName: holder.server.liveName,
    });
    const refusal = { code: 'forged', exitCode: 20, message: expect.stringContaining('carries a newer cluster key') };

    await withCluster(onBucket, async (opened) => {
      await expect(createBackup(context, opened, { kind: 'manual' })).rejects.toMatchObject(refusal);
      await sql`DELETE FROM life_seals`.execute(opened.database.queries);
    });
    const accepting = { clusterKey: older.clusterKey, older: true, confirm: async () => {} };
    await expect(acceptDatabase(context, onBucket, accepting)).rejects.toMatchObject(refusal);
  });
});
