import { cpSync, existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { sql } from 'kysely';
import { beforeAll, describe, expect, it } from 'vitest';
import { keyringPath } from '#keys/keyring-paths.ts';
import { createBackup, type BackupResult } from '#operations/create-backup.ts';
import { requireCurrentKeys } from '#operations/current-keys.ts';
import { finishImport } from '#operations/finish-import.ts';
import { openCluster } from '#operations/open-cluster.ts';
import { openRepository } from '#operations/open-repository.ts';
import { planRestore } from '#operations/plan-restore.ts';
import { readCatalog } from '#operations/read-catalog.ts';
import { restore, type RestoreOptions } from '#operations/restore.ts';
import { rotateKeys } from '#operations/rotate-keys.ts';
import { tendKeys } from '#operations/tend-keys.ts';
import { saveSetting } from '#store/settings.ts';
import { tablesOf } from '#store/tables.ts';
import { makeCluster } from '../fixtures/cluster.ts';
import { makeEvictedForger, placeBucket } from '../fixtures/evicted-forger.ts';
import { exportedSql } from '../fixtures/exporting.ts';
import { makeContext, makeHost, temporaryDirectory, type TestHost } from '../fixtures/host.ts';
import { enrolHosts, withCluster } from '../fixtures/hosts.ts';
import { freshDatabaseName, startTestServer } from '../fixtures/postgresql.ts';
import { psqlUnavailable } from '../fixtures/psql.ts';
import { replayWhole } from '../fixtures/replaying.ts';
import { objectFile } from '../fixtures/repository.ts';
import { confirmed, reopen } from '../fixtures/restoring.ts';

const context = makeContext();
const unasked: RestoreOptions = { ...confirmed, trust: { confirmed: false } };
const naming = (clusterKey: string, missingAfter?: number): RestoreOptions => ({
  ...unasked,
  trust: { confirmed: false, clusterKey, ...(missingAfter === undefined ? {} : { missingAfter }) },
});
const secondEpoch = keyringPath({ type: 'epoch', epoch: 2 });

describe('a bucket that an evicted host replaced by its own', () => {
  let host: TestHost;
  let second: TestHost;
  let [genuine, forged, theirDatabase] = ['', '', ''];
  let [old, fresh, theirs]: BackupResult[] = [];

  beforeAll(async () => {
    ({ host, second, genuine, forged, old, fresh, theirs, theirDatabase } = await makeEvictedForger());
  }, 240_000);

  /** Puts a copy in the bucket's place, and says which document is there by then. */
  function place(copy: string): Buffer {
    placeBucket(host, copy);
    return readFileSync(objectFile(host, secondEpoch));
  }

  /** host-b as it was when it was switched off, or host-a as it is, with a database of the given name. */
  async function on(which: TestHost, liveName: string): Promise<TestHost> {
    const directory = temporaryDirectory();
    for (const part of ['keys', 'state'])
      cpSync(join(which.directory, part), join(directory, part), { recursive: true });
    const made = await makeHost({ name: which.node.name, directory, repository: objectFile(host, ''), liveName });
    const remembered = (await made.localState.read())?.clusterKey;
    expect(remembered).toBe(which === second ? old!.clusterKey : fresh!.clusterKey);
    return made;
  }

  const names = async (at: TestHost): Promise<string[]> =>
    await withCluster(at, async ({ database }) => {
      const rows = await tablesOf(database).selectFrom('users').select('display_name').execute();
      return rows.map((row) => row.display_name);
    });

  it('is restored by no host that was off and has no database to compare with, unless the key is named', async () => {
    expect(place(forged)).not.toEqual(readFileSync(join(genuine, secondEpoch)));
    const off = await on(second, freshDatabaseName());
    const shown = [old!, theirs!].map(({ clusterKey }) => clusterKey);

    for (const options of [unasked, confirmed]) {
      const refused: unknown = await restore(context, off, options).catch((error: unknown) => error);
      expect(refused).toMatchObject({ code: 'usage', exitCode: 2, hint: expect.stringContaining('--cluster-key') });
      for (const key of shown) expect(String(refused)).toContain(key);
    }
    const { obstacles } = await planRestore(off, 'latest');
    for (const text of [...shown, 'restore run latest --cluster-key FINGERPRINT'])
      expect(obstacles.join()).toContain(text);
    await expect(restore(context, off, naming(fresh!.clusterKey))).rejects.toMatchObject({
      code: 'forged',
      exitCode: 20,
    });
    expect(await off.server.databaseIdentity(off.server.liveName)).toBeUndefined();
    expect((await off.localState.read())?.clusterKey).toBe(old!.clusterKey);

    place(genuine);
    await expect(restore(context, off, unasked)).rejects.toMatchObject({ code: 'usage', exitCode: 2 });
    const result = await restore(context, off, naming(fresh!.clusterKey));
    expect(result).toMatchObject({ backupId: fresh!.id });
    expect(await names(off)).not.toContain('Mallory');
    expect((await restore(context, off, unasked)).backupId).toBe(fresh!.id);
  });

  it('stops a host that was off beside the live database, which has the right keys', async () => {
    const bytes = place(forged);
    const off = await on(second, host.server.liveName);
    const identity = await host.server.databaseIdentity(host.server.liveName);

    const refused: unknown = await restore(context, off, unasked).catch((error: unknown) => error);
    expect(refused).toMatchObject({ code: 'forged', exitCode: 20, hint: expect.stringContaining('--cluster-key') });
    for (const said of [fresh!.clusterKey, theirs!.clusterKey, host.server.liveName, host.store.location, secondEpoch])
      expect(String(refused)).toContain(said);
    await expect(openCluster(context, off)).rejects.toMatchObject({ code: 'forged', exitCode: 20 });
    expect(readFileSync(objectFile(host, secondEpoch))).toEqual(bytes);
    expect(await host.server.databaseIdentity(host.server.liveName)).toBe(identity);

    // The keys of the database decide, and a backup that both histories have is still good.
    const noting = makeContext();
    const result = await restore(noting, off, naming(fresh!.clusterKey, 1));
    expect(result.backupId).toBe(old!.id);
    expect(noting.notes.join('\n')).toContain(`warning: ${secondEpoch} in ${host.store.location} is not what`);
    expect(await names(host)).not.toContain('Mallory');

    rmSync(objectFile(host, secondEpoch));
    const after = await reopen(context, host);
    await createBackup(context, after, { kind: 'manual' });
    expect(readFileSync(objectFile(host, secondEpoch))).toEqual(readFileSync(join(genuine, secondEpoch)));
    await reopen(context, off);
    expect((await off.localState.read())?.clusterKey).toBe(fresh!.clusterKey);
  });

  it('shows a host that stayed on that its backups are gone, and none of those of the evicted host', async () => {
    place(forged);
    const stayed = await on(host, host.server.liveName);
    const opened = await reopen(context, stayed);
    const catalog = await readCatalog(host.store, opened.keyring);
    expect(catalog.backups.map(({ entry }) => entry.id)).toEqual([old!.id]);
    expect(catalog.rejected.map(({ path }) => path)).toContain(`backups/${theirs!.id}.json`);

    await expect(restore(context, stayed, unasked)).rejects.toMatchObject({
      code: 'forged',
      exitCode: 20,
      message: expect.stringContaining('newer backups were deleted or hidden'),
    });
    await expect(restore(context, stayed, { ...unasked, backup: theirs!.id })).rejects.toMatchObject({ exitCode: 20 });
    const accepting = { confirmed: false, missingAfter: catalog.highestSequence };
    expect((await restore(context, stayed, { ...unasked, trust: accepting })).backupId).toBe(old!.id);
    const after = await reopen(context, stayed);
    expect(after.keyring.fingerprint).toBe(fresh!.clusterKey);
    await createBackup(context, after, { kind: 'manual' });
  });

  it('is noticed where it is the database that the evicted host changed', async () => {
    place(genuine);
    const off = await on(second, host.server.liveName);
    const document = readFileSync(join(forged, secondEpoch));
    const { database } = await reopen(context, host);
    const mine = await tablesOf(database).selectFrom('key_epochs').selectAll().where('epoch', '=', 2).execute();
    expect(mine.map((row) => row.document)).toEqual([readFileSync(join(genuine, secondEpoch))]);
    await tablesOf(database).updateTable('key_epochs').set({ document }).where('epoch', '=', 2).execute();

    await expect(restore(context, off, unasked)).rejects.toMatchObject({ code: 'forged', exitCode: 20 });
    expect((await restore(context, off, naming(fresh!.clusterKey))).backupId).not.toBe(theirs!.id);
    expect((await reopen(context, host)).keyring.fingerprint).toBe(fresh!.clusterKey);
    expect(await names(host)).not.toContain('Mallory');
  });

  /** The database of the evicted host, as somebody copied it to where host-b has its own. */
  async function copyOfTheirs(): Promise<string> {
    const copy = freshDatabaseName();
    const postgres = (await startTestServer()).server.open('postgres', { connections: 1 });
    try {
      await sql`CREATE DATABASE ${sql.id(copy)} TEMPLATE ${sql.id(theirDatabase)}`.execute(postgres.queries);
    } finally {
      await postgres.close();
    }
    return copy;
  }

  it('is not vouched for by a database whose life nothing proves, and which holds the same key', async () => {
    place(forged);
    const off = await on(second, await copyOfTheirs());
    const identity = await off.server.databaseIdentity(off.server.liveName);
    for (const options of [unasked, confirmed]) {
      const refused: unknown = await restore(context, off, options).catch((error: unknown) => error);
      expect(refused).toMatchObject({ code: 'usage', exitCode: 2, hint: expect.stringContaining('nothing proves') });
      expect(String(refused)).toContain(theirs!.clusterKey);
    }
    const { obstacles, unknown } = await planRestore(off, 'latest');
    expect(obstacles.join()).toContain(theirs!.clusterKey);
    expect(unknown).toMatchObject({ code: 'usage' });
    expect((await off.localState.read())?.clusterKey).toBe(old!.clusterKey);
    expect(await off.server.databaseIdentity(off.server.liveName)).toBe(identity);
  });

  it('brings nothing of such a database into a bucket from before', async () => {
    place(forged);
    rmSync(objectFile(host, 'keyring/epochs/2'), { recursive: true });
    const before = `${old!.id}.json`;
    const elsewhere = await on(second, freshDatabaseName());
    // A manifest of theirs that is left carries the key that they made: it is followed as little as one under keyring/.
    await expect(restore(context, elsewhere, unasked)).rejects.toMatchObject({ code: 'usage', exitCode: 2 });
    const since = readdirSync(objectFile(host, 'backups')).filter((name) => name !== before);
    expect(since).toContain(`${theirs!.id}.json`);
    for (const name of since) rmSync(objectFile(host, `backups/${name}`));
    const off = await on(second, await copyOfTheirs());
    await expect(restore(context, off, unasked)).rejects.toMatchObject({ code: 'usage', exitCode: 2 });
    await expect(restore(context, off, naming(old!.clusterKey, 1))).rejects.toMatchObject({
      code: 'forged',
      exitCode: 20,
      message: expect.stringContaining(`with the live database is ${theirs!.clusterKey}, not ${old!.clusterKey}`),
    });
    expect(existsSync(objectFile(host, secondEpoch))).toBe(false);
    expect(await restore(context, elsewhere, unasked)).toMatchObject({ backupId: old!.id });
    expect(await names(elsewhere)).not.toContain('Mallory');
  });

  it('hinders no host that was off and finds database and bucket as they should be', async () => {
    place(genuine);
    const restoring = await on(second, host.server.liveName);
    expect((await planRestore(restoring, 'latest')).obstacles).toEqual([]);
    await restore(context, restoring, unasked);
    expect((await restoring.localState.read())?.clusterKey).toBe(fresh!.clusterKey);
    const starting = await on(second, host.server.liveName);
    const { keyring } = await tendKeys(context, starting, await reopen(context, starting));
    expect(keyring.fingerprint).toBe(fresh!.clusterKey);
  });
});

describe('an export that was replayed', () => {
  it('is not served unasked by a host that was off while the keys were changed', async (test) => {
    if (psqlUnavailable !== undefined) test.skip(psqlUnavailable);
    const { host } = await makeCluster();
    const [second] = (await enrolHosts(host, ['host-b'])) as [TestHost];
    await withCluster(host, async (opened) => void (await rotateKeys(context, host, opened)));
    const cluster = await reopen(context, host);
    const { id, clusterKey } = await createBackup(context, cluster, { kind: 'manual' });
    const replayed = await replayWhole(host, (await exportedSql(context, cluster, id)).sql);
    const off = await makeHost({
      directory: second.directory,
      repository: objectFile(host, ''),
      liveName: replayed.server.liveName,
    });

    await expect(openCluster(context, off)).rejects.toMatchObject({
      code: 'import-pending',
      exitCode: 12,
      message: expect.stringContaining(clusterKey),
      hint: expect.stringContaining('accept-import --cluster-key'),
    });
    const accepted = { trust: { kind: 'accepted' as const, clusterKey, older: false } };
    expect(await finishImport(context, off, accepted)).toMatchObject({ backupId: id });
    expect((await reopen(context, off)).keyring.fingerprint).toBe(clusterKey);
  });
});

describe('new keys in a place where junk lay', () => {
  it('are noticed by who opened the old ones while the junk was there', async () => {
    const { host, cluster } = await makeCluster();
    const { database } = cluster;
    const junk = Buffer.from('{"junk":true}');
    await host.store.put(secondEpoch, junk);
    await tablesOf(database).insertInto('key_epochs').values({ epoch: 2, document: junk }).execute();
    const frozen = await openCluster(context, host);
    const alone = await openRepository(host.store, host.sealing);
    expect(frozen.keyring.rejected.map(({ path }) => path)).toContain(secondEpoch);
    await requireCurrentKeys(frozen.keyring, frozen);
    const setting = { name: 'smtp', value: null, secret: Buffer.from('a secret') };
    await saveSetting(frozen.database.queries, frozen.keyring, setting, context);

    rmSync(objectFile(host, secondEpoch));
    await tablesOf(database).deleteFrom('key_epochs').where('epoch', '=', 2).execute();
    await withCluster(host, async (opened) => void (await rotateKeys(context, host, opened)));
    expect(existsSync(objectFile(host, secondEpoch))).toBe(true);
    expect((await reopen(context, host)).keyring.epochs).toEqual([1, 2]);

    const changed = { code: 'lease-held', exitCode: 13 };
    await expect(createBackup(context, frozen, { kind: 'manual' })).rejects.toMatchObject(changed);
    await expect(requireCurrentKeys(alone.keyring, { store: host.store })).rejects.toMatchObject(changed);
    await expect(requireCurrentKeys(alone.keyring, { database })).rejects.toMatchObject(changed);
    await expect(saveSetting(database.queries, frozen.keyring, setting, context)).rejects.toMatchObject(changed);
    await frozen.database.close();
    await createBackup(context, await reopen(context, host), { kind: 'manual' });
  });
});
