import { sql } from 'kysely';
import { describe, expect, it } from 'vitest';
import { openLocalState } from '#adapters/data-directory/local-state.ts';
import { createBackup } from '#operations/create-backup.ts';
import { openCluster, openOrCreateCluster } from '#operations/open-cluster.ts';
import { planRollback } from '#operations/plan-rollback.ts';
import { restore } from '#operations/restore.ts';
import { rollbackRestore } from '#operations/rollback-restore.ts';
import { beforePrefix } from '#model/restore-names.ts';
import type { Database } from '#ports/database.ts';
import { migrate } from '#store/migrate.ts';
import { Scene } from '../attacks/stage.ts';
import { makeCluster, type TestCluster } from '../fixtures/cluster.ts';
import { makeContext, temporaryDirectory, type TestHost } from '../fixtures/host.ts';
import { confirmed, reopen } from '../fixtures/restoring.ts';
import { addSettings } from '../fixtures/rows.ts';

/** A backup without settings, and seven of them written since. */
async function writtenSince(): Promise<TestCluster> {
  const made = await makeCluster();
  await createBackup(made.context, made.cluster, { kind: 'manual' });
  await addSettings(made.cluster.database, 7);
  return made;
}

const replacedDatabases = ({ server }: TestHost): Promise<string[]> =>
  server.databaseNames(beforePrefix(server.liveName));

async function within<T>({ server }: TestHost, name: string, work: (database: Database) => Promise<T>): Promise<T> {
  const database = server.open(name, { connections: 1 });
  try {
    return await work(database);
  } finally {
    await database.close();
  }
}

const settingsIn = (host: TestHost, name: string, table = 'settings'): Promise<unknown> =>
  within(host, name, async ({ queries }) => {
    const { rows } = await sql<{ count: number }>`SELECT count(*) FROM ${sql.table(table)}`.execute(queries);
    return rows[0]?.count;
  });

const withoutRow = 'no cluster row';

describe('a live database whose cluster row is gone', () => {
  it('is told as that, replaced only without a safety backup, kept, and put back with its row', async () => {
    const { host, cluster } = await writtenSince();
    const scene = new Scene({ host }, { database: host.server.liveName });
    await cluster.database.runScript('CREATE TABLE cluster_aside AS SELECT * FROM cluster; DELETE FROM cluster');

    const status = await scene.run('status');
    expect([status.exitCode, status.stderr]).toEqual([12, expect.stringContaining(withoutRow)]);
    expect(status.stderr).not.toContain('is empty');
    await expect(openOrCreateCluster(makeContext(), host)).rejects.toMatchObject({
      code: 'restore-needed',
      commands: ['enclave-manager restore plan latest', 'enclave-manager restore run latest --without-safety-backup'],
    });
    const { document: plan } = await scene.succeed('restore', 'plan', 'latest');
    expect(plan).toMatchObject({
      server: { live: { content: 'rows', clusterId: null } },
      obstacles: [expect.stringContaining('--without-safety-backup')],
    });
    const refused = await scene.run('restore', 'run', 'latest', '--yes');
    expect([refused.exitCode, refused.stderr]).toEqual([20, expect.stringContaining(withoutRow)]);
    expect(await replacedDatabases(host)).toEqual([]);

    await cluster.database.close();
    const { document } = await scene.succeed('restore', 'run', 'latest', '--yes', '--without-safety-backup');
    const kept = await replacedDatabases(host);
    expect(document).toMatchObject({ safetyBackupId: null, beforeDatabase: kept[0] });
    expect(await settingsIn(host, kept[0]!)).toBe(7);

    const rolledBack = await scene.run('restore', 'rollback', '--yes');
    expect([rolledBack.exitCode, rolledBack.stderr]).toEqual([12, expect.stringContaining(withoutRow)]);
    await within(host, kept[0]!, async (before) => {
      await before.runScript('INSERT INTO cluster SELECT * FROM cluster_aside');
    });
    await scene.succeed('restore', 'rollback', '--yes');
    expect(await settingsIn(host, host.server.liveName)).toBe(7);
  });

  it('gets no new cluster where no repository shows that there was one', async () => {
    const { host, cluster } = await writtenSince();
    await cluster.database.runScript('DELETE FROM cluster');
    await cluster.database.close();
    const forgetful = { ...host, store: undefined, localState: openLocalState(temporaryDirectory()) };
    await expect(openOrCreateCluster(makeContext(), forgetful)).rejects.toMatchObject({
      code: 'damaged',
      message: expect.stringContaining(withoutRow),
    });
    // Nor does a command send whoever asks to a start that would refuse.
    await expect(openCluster(makeContext(), forgetful)).rejects.toMatchObject({ code: 'damaged' });
    expect(await settingsIn(host, host.server.liveName)).toBe(7);
    expect(await settingsIn(host, host.server.liveName, 'cluster')).toBe(0);
  });

  it.each([
    ['its table renamed', 'ALTER TABLE cluster RENAME TO cluster_aside', 'settings'],
    ['everything in another schema', 'ALTER SCHEMA public RENAME TO aside; CREATE SCHEMA public', 'aside.settings'],
  ])('is kept with %s', async (_, fault, settings) => {
    const { context, host, cluster } = await writtenSince();
    await cluster.database.runScript(fault);
    await expect(restore(context, host, confirmed)).rejects.toMatchObject({
      code: 'damaged',
      exitCode: 20,
      message: expect.stringContaining(withoutRow) as string,
    });
    await cluster.database.close();
    const { beforeDatabase } = await restore(context, host, { ...confirmed, safetyBackup: false });
    expect(await replacedDatabases(host)).toEqual([beforeDatabase]);
    expect(await settingsIn(host, beforeDatabase!, settings)).toBe(7);
  });
});

/** Restores over it, with what that says, and plans to undo it. */
async function restoredOver(fault: string) {
  const { host, cluster } = await writtenSince();
  await cluster.database.runScript(fault);
  await cluster.database.close();
  const context = makeContext();
  const { safetyBackupId, beforeDatabase } = await restore(context, host, confirmed);
  expect(safetyBackupId).toBeNull();
  expect(await replacedDatabases(host)).toEqual([beforeDatabase]);
  const restored = await reopen(context, host);
  const plan = await planRollback(restored);
  expect(plan.beforeDatabase).toBe(beforeDatabase);
  return { host, context, restored, plan };
}

async function expectRolledBack({ host, context, restored, plan }: Awaited<ReturnType<typeof restoredOver>>) {
  await rollbackRestore(context, restored, plan);
  const { database } = await reopen(context, host);
  expect(await settingsIn(host, database.name)).toBe(7);
}

describe('a live database that says that it served nobody', () => {
  it.each([
    `UPDATE cluster SET state = 'creating', cluster_id = gen_random_uuid()`,
    `UPDATE cluster SET state = 'creating'`,
  ])('by a cluster that was only begun (%s) is kept, which is said, and put back', async (fault) => {
    const story = await restoredOver(fault);
    const { context, plan } = story;
    const said = new RegExp(`no safety backup .*a cluster that was only begun.*${plan.beforeDatabase}`);
    expect(context.notes).toContainEqual(expect.stringMatching(said));
    await expectRolledBack(story);
  });

  it('by the table of an import is kept, which is said, and put back without that table', async () => {
    const story = await restoredOver('CREATE TABLE import_marker (part int8)');
    const { host, context, restored, plan } = story;
    const said = new RegExp(`no safety backup .*an import .*${plan.beforeDatabase}`);
    expect(context.notes).toContainEqual(expect.stringMatching(said));
    await expect(rollbackRestore(context, restored, plan)).rejects.toMatchObject({
      code: 'import-pending',
      exitCode: 12,
      message: expect.stringContaining('import_marker') as string,
    });
    await within(host, plan.beforeDatabase, async (before) => await before.runScript('DROP TABLE import_marker'));
    await expectRolledBack(story);
  });
});

describe('a live database that holds nothing', () => {
  it.each([
    ['was just created', 0],
    ['has the tables of an old release', 2],
    ['has the tables of an interrupted creation', undefined],
  ])('because it %s is replaced and dropped', async (_, to) => {
    const { context, host, cluster } = await writtenSince();
    await cluster.database.close();
    await host.server.dropDatabase(host.server.liveName);
    await host.server.createDatabase(host.server.liveName);
    if (to !== 0) await within(host, host.server.liveName, async (live) => await migrate(live, to ? { to } : {}));
    const result = await restore(context, host, confirmed);
    expect(result).toMatchObject({ safetyBackupId: null, beforeDatabase: null });
    expect(await replacedDatabases(host)).toEqual([]);
  });

  it.each([
    ['a view', 'CREATE VIEW rights AS SELECT 1 AS one'],
    [
      'a sequence and an empty table in another schema',
      'CREATE SCHEMA watch; CREATE SEQUENCE watch.s; CREATE TABLE watch.t (a int8)',
    ],
    [
      'an extension with rows',
      'CREATE SCHEMA e; CREATE EXTENSION pg_stat_statements WITH SCHEMA e; CREATE TABLE e.t AS SELECT 1; ALTER EXTENSION pg_stat_statements ADD TABLE e.t',
    ],
  ])('also with %s', async (_, script) => {
    const { context, host, cluster } = await writtenSince();
    await cluster.database.close();
    await host.server.dropDatabase(host.server.liveName);
    await host.server.createDatabase(host.server.liveName);
    await within(host, host.server.liveName, async (live) => await live.runScript(script));
    await expect(openOrCreateCluster(makeContext(), host)).rejects.toMatchObject({
      code: 'restore-needed',
      message: expect.stringContaining('is empty'),
    });
    expect(await restore(context, host, confirmed)).toMatchObject({ safetyBackupId: null, beforeDatabase: null });
  });
});
