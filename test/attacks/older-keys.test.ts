import { readdirSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { createBackup, type BackupResult } from '#operations/create-backup.ts';
import { openOrCreateCluster } from '#operations/open-cluster.ts';
import { rotateKeys } from '#operations/rotate-keys.ts';
import { makeContext, makeHost, type TestHost } from '../fixtures/host.ts';
import { enrolHosts, withCluster } from '../fixtures/hosts.ts';
import { addUsers } from '../fixtures/rows.ts';
import { Scene } from './stage.ts';

const context = makeContext();
const secondEpoch = 'keyring/epochs/2/epoch.json';
const run = ['restore', 'run', 'latest', '--yes'];

let host: TestHost;
let older: BackupResult;
let fresh: BackupResult;
/** What lies under `keyring/` since the keys were changed. */
let newer: string[];

/** host-b was off while host-a changed the keys, and each of the two times has a backup. */
beforeAll(async () => {
  host = await makeHost();
  const { cluster } = await openOrCreateCluster(context, host);
  await addUsers(cluster.database, 20);
  await cluster.database.close();
  await enrolHosts(host, ['host-b']);
  older = await withCluster(host, (opened) => createBackup(context, opened, { kind: 'manual' }));
  const before = new Set(keyringPaths());
  await withCluster(host, (opened) => rotateKeys(context, host, opened));
  fresh = await withCluster(host, (opened) => createBackup(context, opened, { kind: 'manual' }));
  newer = keyringPaths().filter((path) => !before.has(path));
  expect(newer).toContain(secondEpoch);
  expect([older.sequence, fresh.sequence]).toEqual([1, 2]);
}, 240_000);

const keyringPaths = (): string[] =>
  readdirSync(`${host.directory}/backups/keyring`, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => `${entry.parentPath.slice(entry.parentPath.indexOf('keyring'))}/${entry.name}`);

/** The new key and the credential that host-a sealed with it, or all that is new. */
const lost = {
  some: () => newer.filter((path) => path === secondEpoch || path.includes('/nodes/')),
  all: () => newer,
};

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
});
