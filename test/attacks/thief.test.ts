import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { sql } from 'kysely';
import { beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '#adapters/system/clock.ts';
import { systemRandomness } from '#adapters/system/randomness.ts';
import { joinRequestMacKey, parseToken } from '#keys/join-token.ts';
import { createBackup } from '#operations/create-backup.ts';
import { inviteNode } from '#operations/enrol-node.ts';
import { openOrCreateCluster } from '#operations/open-cluster.ts';
import { readCaKey, saveCaKey } from '#store/ca-keys.ts';
import { readSetting, saveSetting } from '#store/settings.ts';
import { secretsOf } from '../../src/keys/keyring.fixture.ts';
import { makeContext, makeHost, type TestHost } from '../fixtures/host.ts';
import { Scene } from './stage.ts';
import { spellingsOf, found } from './searching.ts';

const caKeyId = '019aa8f0-0000-7000-8000-000000000001';
/** In a table's clear column: the database shows it, the repository does not. */
const clearInDatabase = 'CLEAR-SETTING-NAME-7f3a91';
const ports = { clock: systemClock, randomness: systemRandomness };

let host: TestHost;
let secrets: Readonly<Record<string, Buffer>>;
let databaseFiles: readonly string[];
let clusterId: string;

beforeAll(async () => {
  host = await makeHost();
  const context = makeContext();
  const { cluster } = await openOrCreateCluster(context, host);
  const { database, keyring } = cluster;
  const planted = {
    'private key of the certificate authority': Buffer.from('CA-PRIVATE-KEY-THAT-MUST-NOT-BE-FOUND'),
    'secret of a setting': Buffer.from('SMTP-PASSWORD-THAT-MUST-NOT-BE-FOUND'),
  };
  const caKey = {
    caKeyId,
    zone: 'default',
    algorithm: 'ed25519',
    certificate: Buffer.from('a certificate'),
    privateKey: planted['private key of the certificate authority'],
    createdAt: new Date(),
  };
  await saveCaKey(database.queries, keyring, caKey, ports);
  const setting = { name: clearInDatabase, value: null, secret: planted['secret of a setting'] };
  await saveSetting(database.queries, keyring, setting, ports);
  const { token } = await inviteNode(context, cluster);
  const { secret } = parseToken(token);
  await createBackup(context, cluster, { kind: 'manual' });
  const own = await secretsOf(keyring.documents, host.sealing);
  clusterId = keyring.clusterId;
  secrets = {
    ...planted,
    'secret of a join token': secret,
    'key that checks join requests': joinRequestMacKey(secret),
    'root key': own.rootKeys.get(1)!,
    'signing key': own.signers.get(1)!.privateKey.export({ format: 'der', type: 'pkcs8' }).subarray(-32),
    'private key of the node': own.privateKey,
    'key of the host': readFileSync(join(host.directory, 'keys/host.key')),
    'chunk key': keyring.currentEpoch.chunk,
    'column key': keyring.currentEpoch.column,
  };
  // It is there, for who has the key.
  expect((await readCaKey(database.queries, keyring, caKeyId))?.privateKey).toEqual(caKey.privateKey);
  expect((await readSetting(database.queries, keyring, clearInDatabase))?.secret).toEqual(setting.secret);
  await sql`CHECKPOINT`.execute(database.queries);
  const { rows } = await sql<{ directory: string }>`SELECT current_setting('data_directory') AS directory`.execute(
    database.queries,
  );
  databaseFiles = filesBelow(rows[0]!.directory);
  await database.close();
});

function filesBelow(directory: string): string[] {
  const entries = readdirSync(directory, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}

/** The database is running: a file of its own work, or of its log, may be gone again. */
function contentOf(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT' && /\/(pg_wal|pgsql_tmp|pg_stat)\//.test(file))
      return Buffer.alloc(0);
    throw error;
  }
}

function expectNoSecretIn(files: readonly string[]): void {
  const held = Object.entries(secrets).flatMap(([name, secret]) =>
    files.filter((file) => found(contentOf(file), spellingsOf(secret))).map((file) => `${name} is in ${file}`),
  );
  expect(held).toEqual([]);
}

describe('the thief of a database', () => {
  it('with all of its files and its write-ahead log finds rows, and no sealed secret in any spelling', () => {
    expect(databaseFiles.length).toBeGreaterThan(500);
    expect(databaseFiles.some((file) => file.includes('pg_wal') && contentOf(file).length > 0)).toBe(true);
    const clear = spellingsOf(Buffer.from(clearInDatabase));
    // The search finds what is there.
    expect(databaseFiles.filter((file) => found(contentOf(file), clear)).length).toBeGreaterThan(0);
    expectNoSecretIn(databaseFiles);
  });

  it('with a dump of every row of every table finds the same', async () => {
    const database = host.server.open(host.server.liveName, { connections: 1 });
    try {
      const texts: string[] = [];
      for (const table of await database.tableNames()) {
        const { rows } = await sql<{ row: string }>`SELECT t::text AS row FROM ${sql.table(table)} t`.execute(
          database.queries,
        );
        texts.push(...rows.map(({ row }) => row));
      }
      const dump = Buffer.from(texts.join('\n'));
      expect(found(dump, spellingsOf(Buffer.from(clearInDatabase)))).toBe(true);
      const held = Object.entries(secrets).filter(([, secret]) => found(dump, spellingsOf(secret)));
      expect(held.map(([name]) => name)).toEqual([]);
    } finally {
      await database.close();
    }
  });
});

describe('the thief of a repository', () => {
  it('finds the cluster id and sizes, and neither a secret nor a row', () => {
    const files = filesBelow(join(host.directory, 'backups'));
    expect(files.length).toBeGreaterThan(10);
    expect(
      files.filter((file) => found(readFileSync(file), spellingsOf(Buffer.from(clusterId)))).length,
    ).toBeGreaterThan(5);
    expectNoSecretIn(files);
    const rows = spellingsOf(Buffer.from(clearInDatabase));
    expect(files.filter((file) => found(readFileSync(file), rows))).toEqual([]);
  });
});

describe('the thief of a disk without the hardware that opens it', () => {
  it('finds no secret in state, repository and database, and no command opens anything', async () => {
    const scene = new Scene({ host });
    const files = filesBelow(scene.dataDirectory);
    expect(files.filter((file) => found(readFileSync(file), spellingsOf(secrets['key of the host']!)))).toHaveLength(1);
    rmSync(join(scene.dataDirectory, 'keys'), { recursive: true });
    expectNoSecretIn(filesBelow(scene.dataDirectory));

    const { document } = await scene.succeed('backup', 'list');
    expect(document).toMatchObject([{ authentic: 'unknown' }]);
    const remembering = await scene.fail('restore', 'run', 'latest', '--yes');
    expect(remembering).toMatchObject({ exitCode: 15, code: 'sealing-unavailable' });
    rmSync(join(scene.dataDirectory, 'state'), { recursive: true });
    const stranger = await scene.fail('restore', 'run', 'latest', '--yes');
    expect(stranger).toMatchObject({ exitCode: 21, code: 'no-key' });
    expect(await scene.rows()).toBeUndefined();
  });
});
