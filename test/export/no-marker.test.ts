import { sql } from 'kysely';
import { beforeEach, describe, expect, it } from 'vitest';
import { acceptDatabase, type UnprovedDatabase } from '#operations/accept-database.ts';
import type { Cluster } from '#operations/context.ts';
import { createBackup } from '#operations/create-backup.ts';
import { openCluster, openOrCreateCluster } from '#operations/open-cluster.ts';
import { planRollback } from '#operations/plan-rollback.ts';
import { restore } from '#operations/restore.ts';
import { rollbackRestore } from '#operations/rollback-restore.ts';
import { rotateKeys } from '#operations/rotate-keys.ts';
import type { Database } from '#ports/database.ts';
import { listAuditEvents, verifyAuditChain } from '#store/audit.ts';
import { readCluster } from '#store/cluster.ts';
import { tablesOf } from '#store/tables.ts';
import { makeCluster } from '../fixtures/cluster.ts';
import { dumpDatabase } from '../fixtures/dump.ts';
import { exportedSql } from '../fixtures/exporting.ts';
import { makeContext, type TestHost } from '../fixtures/host.ts';
import { startTestServer } from '../fixtures/postgresql.ts';
import { psql, psqlUnavailable } from '../fixtures/psql.ts';
import { replayWhole } from '../fixtures/replaying.ts';
import { confirmed, reopen } from '../fixtures/restoring.ts';
import { addUsers } from '../fixtures/rows.ts';

beforeEach((context) => {
  if (psqlUnavailable !== undefined) context.skip(psqlUnavailable);
});

const unproved = {
  code: 'import-pending',
  exitCode: 12,
  message: expect.stringContaining('nothing proves that the database') as string,
  hint: expect.stringContaining('database accept-import --cluster-key') as string,
};

/** An export that was edited, without the statements that make its marker. */
async function editedExport() {
  const made = await makeCluster();
  await addUsers(made.cluster.database, 30);
  const { id } = await createBackup(made.context, made.cluster, { kind: 'manual' });
  const script = (await exportedSql(makeContext(), made.cluster, id)).sql.toString();
  const edited = script
    .replace(/CREATE TABLE import_marker [^;]*;\n/, '')
    .replaceAll(/(INSERT INTO|UPDATE) import_marker [^;]*;\n/g, '')
    .replace("'User 17'", "'User 71'");
  expect([edited.includes('import_marker'), edited.includes("'User 71'")]).toEqual([false, true]);
  return { ...made, edited };
}

async function within<T>({ server }: TestHost, work: (database: Database) => Promise<T>): Promise<T> {
  const database = server.open(server.liveName, { connections: 1 });
  try {
    return await work(database);
  } finally {
    await database.close();
  }
}

const sealIn = async ({ database }: Pick<Cluster, 'database'>): Promise<Buffer> =>
  (await tablesOf(database).selectFrom('life_seals').select('seal').executeTakeFirstOrThrow()).seal;

const putSeal = async (database: Database, seal: Buffer): Promise<void> => {
  await sql`DELETE FROM life_seals`.execute(database.queries);
  await tablesOf(database).insertInto('life_seals').values({ singleton: true, seal }).execute();
  expect(await sealIn({ database })).toEqual(seal);
};

describe('an export whose marker was taken out', () => {
  it('does not serve, and nothing is written', async () => {
    const { host, edited } = await editedExport();
    const replayed = await replayWhole(host, edited);
    await expect(openOrCreateCluster(makeContext(), replayed)).rejects.toMatchObject(unproved);
    await expect(openCluster(makeContext(), replayed, { finishImport: false })).rejects.toMatchObject(unproved);
    await within(replayed, async (database) => {
      expect((await readCluster(database.queries))?.incarnation.number).toBe(1);
      expect(await listAuditEvents(database.queries, { type: 'RESTORE' })).toEqual([]);
    });
  });

  it('does not serve with the seal of the live database either, beside it or in its place', async () => {
    const { host, cluster, edited } = await editedExport();
    const seal = await sealIn(cluster);
    const beside = await replayWhole(host, edited);
    await within(beside, async (database) => await putSeal(database, seal));
    await expect(openOrCreateCluster(makeContext(), beside)).rejects.toMatchObject(unproved);

    const { connection } = await startTestServer();
    const inPlace = `DROP SCHEMA public CASCADE;\nCREATE SCHEMA public;\n${edited}`;
    const result = await psql({ connection, database: host.server.liveName }, inPlace);
    expect(result.exitCode, result.stderr).toBe(0);
    await within(host, async (database) => await putSeal(database, seal));
    await expect(openOrCreateCluster(makeContext(), host)).rejects.toMatchObject(unproved);
  });

  it('does not serve by being replaced and put back', async () => {
    const { host, edited } = await editedExport();
    const replayed = await replayWhole(host, edited);
    await restore(makeContext(), replayed, confirmed);
    const cluster = await reopen(makeContext(), replayed);
    const before = await dumpDatabase(cluster.database);
    const plan = await planRollback(cluster);
    await expect(rollbackRestore(makeContext(), cluster, plan)).rejects.toMatchObject({
      code: 'import-pending',
      exitCode: 12,
      message: expect.stringContaining(`replaced database "${plan.beforeDatabase}"`) as string,
    });
    expect(await dumpDatabase((await reopen(makeContext(), replayed)).database)).toEqual(before);
    expect(JSON.stringify(before)).not.toContain('User 71');
    const kept = replayed.server.open(plan.beforeDatabase, { connections: 1 });
    const { rows } = await sql`SELECT 1 FROM users u WHERE u::text LIKE '%User 71%'`.execute(kept.queries);
    await kept.close();
    expect(rows).toHaveLength(1);
  });

  it.each([
    ['no', ''],
    [
      'another',
      'CREATE TABLE life_seals (singleton bool PRIMARY KEY, seal text); INSERT INTO life_seals VALUES (true, $$x$$);',
    ],
  ])('does not serve with %s table of seals', async (_, instead) => {
    const { host, cluster, edited } = await editedExport();
    const replayed = await replayWhole(host, `${edited}\nDROP TABLE life_seals; ${instead}\n`);
    await expect(openCluster(makeContext(), replayed, { finishImport: false })).rejects.toMatchObject(unproved);
    await expect(openOrCreateCluster(makeContext(), replayed)).rejects.toMatchObject(unproved);
    const options = { clusterKey: cluster.keyring.fingerprint, confirm: async () => {} };
    await expect(acceptDatabase(makeContext(), replayed, options)).rejects.toMatchObject({
      code: 'rows-differ',
      exitCode: 31,
      message: expect.stringContaining('life_seals') as string,
    });
    await restore(makeContext(), replayed, confirmed);
    await reopen(makeContext(), replayed);
  });

  it('is the live one when a person names the key, whatever life of the data has backed up since', async () => {
    const { context, host, cluster, edited } = await editedExport();
    await restore(context, host, confirmed);
    await createBackup(context, await reopen(context, host), { kind: 'manual' });
    const replayed = await replayWhole(host, edited);

    const options = { clusterKey: cluster.keyring.fingerprint, confirm: async () => {} };
    expect((await acceptDatabase(context, replayed, options))?.incarnation.number).toBe(3);
    const served = await reopen(context, replayed);
    await expect(createBackup(context, served, { kind: 'manual' })).resolves.toMatchObject({ kind: 'manual' });
  });

  it('serves when a person names the key, and the audit log says that nobody compared it', async () => {
    const { host, cluster, edited } = await editedExport();
    const replayed = await replayWhole(host, edited);
    const shown: UnprovedDatabase[] = [];
    const confirm = async (found: UnprovedDatabase): Promise<void> => void shown.push(found);
    const { fingerprint: clusterKey } = cluster.keyring;
    await expect(acceptDatabase(makeContext(), replayed, { clusterKey: 'sha256:AAAA', confirm })).rejects.toMatchObject(
      { exitCode: 20 },
    );
    const no = new RangeError('no');
    const refuse = async (): Promise<void> => {
      throw no;
    };
    await expect(acceptDatabase(makeContext(), replayed, { clusterKey, confirm: refuse })).rejects.toBe(no);
    await expect(openCluster(makeContext(), replayed)).rejects.toMatchObject(unproved);

    const accepted = await acceptDatabase(makeContext(), replayed, { clusterKey, confirm });
    expect([shown.map(({ differences }) => differences), accepted?.incarnation.number]).toEqual([[[]], 2]);
    const served = await reopen(makeContext(), replayed);
    const { queries } = served.database;
    expect((await readCluster(queries))?.incarnation).toEqual(accepted?.incarnation);
    expect((await listAuditEvents(queries, { type: 'RESTORE' }))[0]).toMatchObject({
      action: 'database accepted',
      details: { acceptedFor: clusterKey, notCompared: 'nothing in it says of which backup it is', differences: [] },
    });
    await verifyAuditChain(queries);
    await expect(createBackup(makeContext(), served, { kind: 'manual' })).resolves.toMatchObject({ sequence: 2 });
    expect(await acceptDatabase(makeContext(), replayed, { clusterKey, confirm })).toBeUndefined();
  });

  it('is not accepted with a table of another shape', async () => {
    const { host, cluster, edited } = await editedExport();
    const rule = 'CREATE RULE evil AS ON UPDATE TO users DO INSTEAD NOTHING;\n';
    const replayed = await replayWhole(host, `${edited}${rule}`);
    const confirm = async (): Promise<void> => {};
    await expect(
      acceptDatabase(makeContext(), replayed, { clusterKey: cluster.keyring.fingerprint, confirm }),
    ).rejects.toMatchObject({
      code: 'rows-differ',
      message: expect.stringContaining('has rule O CREATE RULE evil') as string,
    });
  });
});

describe('the seal of a life', () => {
  it('is renewed with the keys, and one of before counts no more', async () => {
    const { context, host, cluster } = await makeCluster();
    const old = await sealIn(cluster);
    await rotateKeys(context, host, cluster);
    const rotated = await reopen(context, host);
    expect([rotated.keyring.currentEpoch.epoch, (await sealIn(rotated)).equals(old)]).toEqual([2, false]);
    await putSeal(rotated.database, old);
    await expect(openCluster(context, host)).rejects.toMatchObject({
      ...unproved,
      message: expect.stringContaining('the keys of the cluster were changed without the database') as string,
    });
  });

  it('is made once for a database that served before there were seals, by a host that served it', async () => {
    const { context, host, cluster } = await makeCluster();
    const clearSeal = async (): Promise<unknown> => await sql`DELETE FROM life_seals`.execute(cluster.database.queries);
    const { sealsLives, ...asBefore } = (await host.localState.read())!;
    expect(sealsLives).toBe(true);
    await clearSeal();
    await host.localState.update(() => asBefore);
    const opened = await reopen(context, host);
    const [event] = await listAuditEvents(opened.database.queries, { type: 'ADMIN' });
    expect(event).toMatchObject({
      action: 'database of an earlier release sealed',
      details: { incarnation: { number: 1 } },
    });
    expect((await host.localState.read())?.sealsLives).toBe(true);
    await reopen(context, host);

    await clearSeal();
    await expect(openCluster(context, host)).rejects.toMatchObject(unproved);
  });
});
