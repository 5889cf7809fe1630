import { setTimeout as sleep } from 'node:timers/promises';
import { sql } from 'kysely';
import { describe, expect, it, onTestFinished } from 'vitest';
import { systemClock } from '#adapters/system/clock.ts';
import { cleanUpRestore, leftDatabases } from '#operations/clean-up-restore.ts';
import { createBackup } from '#operations/create-backup.ts';
import { openCluster } from '#operations/open-cluster.ts';
import { readCatalog } from '#operations/read-catalog.ts';
import { restore } from '#operations/restore.ts';
import { planRollback } from '#operations/plan-rollback.ts';
import { rollbackRestore } from '#operations/rollback-restore.ts';
import { beforeName, stagingPrefix } from '#model/restore-names.ts';
import { verifyAuditChain } from '#store/audit.ts';
import { readCluster } from '#store/cluster.ts';
import { readMaintenance } from '#store/maintenance.ts';
import { readRestore } from '#store/restores.ts';
import { acknowledgeMaintenance, liveServers, registerServer } from '#store/servers.ts';
import { makeCluster } from '../fixtures/cluster.ts';
import { dumpDatabase } from '../fixtures/dump.ts';
import { makeContext } from '../fixtures/host.ts';
import { confirmed, reopen } from '../fixtures/restoring.ts';
import { addAuditEvents, addUsers } from '../fixtures/rows.ts';

describe('a restore over a database with other rows', () => {
  it('keeps what it replaces: a safety backup, and the database itself until cleanup', async () => {
    const { context, host, cluster } = await makeCluster();
    await addUsers(cluster.database, 5);
    const wanted = await dumpDatabase(cluster.database);
    const backup = await createBackup(context, cluster, { kind: 'manual' });
    await addUsers(cluster.database, 3, 'later.example.org');
    await addAuditEvents(cluster.database, 20);
    const replaced = await dumpDatabase(cluster.database);
    const replacedHead = await verifyAuditChain(cluster.database.queries);

    const result = await restore(context, host, confirmed);

    const live = await reopen(context, host);
    expect(await dumpDatabase(live.database)).toEqual(wanted);
    expect(result).toMatchObject({ backupId: backup.id, sequence: 1, rows: backup.rows, incarnation: { number: 2 } });
    expect((await readCluster(live.database.queries))?.incarnation).toEqual(result.incarnation);
    expect(await readRestore(live.database.queries, result.restoreId)).toMatchObject({
      state: 'complete',
      backupId: backup.id,
      safetyBackupId: result.safetyBackupId,
      replacedIncarnation: { number: 1 },
      replacedAudit: replacedHead,
    });
    // What the backup held, and one event that tells of the restore.
    const head = await verifyAuditChain(live.database.queries);
    expect(head.position).toBe(replacedHead.position - 20 + 1);

    expect(result.beforeDatabase).toBe(beforeName(host.server.liveName, result.restoreId));
    const before = host.server.open(result.beforeDatabase!);
    expect(await dumpDatabase(before)).toEqual(replaced);
    await before.close();

    const { backups } = await readCatalog(host.store, live.keyring);
    const safety = backups.find(({ entry }) => entry.id === result.safetyBackupId);
    expect(safety?.entry).toMatchObject({ kind: 'safety', authentic: true, verified: { level: 'new-chunks' } });
    const again = await restore(context, host, { ...confirmed, safetyBackup: false });
    expect(again.backupId).toBe(backup.id);
  });

  it('is rolled back whole: every row returns, and what that discards is said before', async () => {
    const { context, host, cluster } = await makeCluster();
    await createBackup(context, cluster, { kind: 'manual' });
    await addUsers(cluster.database, 4);
    const replaced = await dumpDatabase(cluster.database);
    const { backupId, restoreId, beforeDatabase, incarnation } = await restore(context, host, confirmed);
    const restored = await reopen(context, host);
    await addUsers(restored.database, 1, 'after.example.org');
    await addAuditEvents(restored.database, 2);
    const written = await dumpDatabase(restored.database);

    const plan = await planRollback(restored);
    expect(plan).toMatchObject({ restoreId, backupId, beforeDatabase, discardedAuditEvents: 2 });
    expect(plan.discarded).toEqual([{ table: 'users', written: 1, removed: 0, rowsNow: 1, rowsBefore: 4 }]);
    const outcome = await rollbackRestore(context, restored, plan);

    const live = await reopen(context, host);
    expect(await dumpDatabase(live.database)).toEqual(replaced);
    expect(outcome.incarnation.number).toBe(incarnation.number + 1);
    expect((await readCluster(live.database.queries))?.incarnation).toEqual(outcome.incarnation);
    await verifyAuditChain(live.database.queries);
    const kept = host.server.open(outcome.keptDatabase);
    expect(await dumpDatabase(kept)).toEqual(written);
    await kept.close();
    // Nothing of its former life is in the way.
    expect(await readMaintenance(live.database.queries)).toBeUndefined();
    await expect(createBackup(context, live, { kind: 'manual' })).resolves.toMatchObject({ kind: 'manual' });

    const left = await leftDatabases(host.server);
    expect(left).toMatchObject([{ name: outcome.keptDatabase, role: 'before' }]);
    await cleanUpRestore(context, live, left);
    expect(await leftDatabases(host.server)).toEqual([]);
    await expect(planRollback(live)).rejects.toMatchObject({ code: 'not-found' });
  });

  it('and rolled back again, restores again, and says each time what was written since', async () => {
    const { context, host, cluster } = await makeCluster();
    await addUsers(cluster.database, 6);
    await createBackup(context, cluster, { kind: 'manual' });
    await addUsers(cluster.database, 1, 'later.example.org');
    const replaced = await dumpDatabase(cluster.database);
    await restore(context, host, confirmed);
    const restored = await reopen(context, host);
    expect(await planRollback(restored)).toMatchObject({ undoes: 'restore', discardedAuditEvents: 0, discarded: [] });
    await sql`UPDATE users SET display_name = 'changed' WHERE email = 'user-1@example.org'`.execute(
      restored.database.queries,
    );
    await sql`DELETE FROM users WHERE email IN ('user-2@example.org', 'user-3@example.org')`.execute(
      restored.database.queries,
    );
    await addUsers(restored.database, 2, 'after.example.org');
    await addAuditEvents(restored.database, 25);
    const written = await dumpDatabase(restored.database);

    const plan = await planRollback(restored);
    expect(plan.discarded).toEqual([{ table: 'users', written: 3, removed: 3, rowsNow: 6, rowsBefore: 7 }]);
    expect([plan.discardedAuditEvents, plan.newestAuditEvents.length]).toEqual([25, 20]);
    expect(plan.newestAuditEvents[0]).toMatchObject({ action: 'setting changed', subject: 'setting-24' });
    await rollbackRestore(context, restored, plan);
    const back = await reopen(context, host);
    expect(await dumpDatabase(back.database)).toEqual(replaced);

    // What was shown before another swap is not done after it.
    const stale = await planRollback(back);
    expect(stale).toMatchObject({ undoes: 'rollback', discardedAuditEvents: 0, discarded: [] });
    await rollbackRestore(context, back, stale);
    const again = await reopen(context, host);
    expect(await dumpDatabase(again.database)).toEqual(written);
    await expect(rollbackRestore(context, again, stale)).rejects.toMatchObject({ code: 'lease-held', exitCode: 13 });
    expect(await dumpDatabase(again.database)).toEqual(written);

    await restore(context, host, confirmed);
    const last = await reopen(context, host);
    expect((await planRollback(last)).undoes).toBe('restore');
    await verifyAuditChain(last.database.queries);
    expect((await leftDatabases(host.server)).map(({ role }) => role)).toEqual(['before', 'before']);
  });

  it('can be done twice, and cleanup drops both replaced databases and nothing else', async () => {
    const { context, host, cluster } = await makeCluster();
    await addUsers(cluster.database, 2);
    const wanted = await dumpDatabase(cluster.database);
    await createBackup(context, cluster, { kind: 'manual' });
    const first = await restore(context, host, confirmed);
    const second = await restore(context, host, confirmed);
    expect(second.incarnation.number).toBe(first.incarnation.number + 1);
    await host.server.createDatabase(`${host.server.liveName}_before_mine`);
    const live = await reopen(context, host);

    const left = await leftDatabases(host.server);
    expect(left.map(({ name }) => name)).toEqual([first.beforeDatabase, second.beforeDatabase]);
    await expect(cleanUpRestore(context, live, [{ ...left[0]!, name: host.server.liveName }])).rejects.toMatchObject({
      code: 'usage',
    });
    await cleanUpRestore(context, live, left);

    expect(await host.server.databaseNames(host.server.liveName)).toEqual([
      host.server.liveName,
      `${host.server.liveName}_before_mine`,
    ]);
    expect(await dumpDatabase(live.database)).toEqual(wanted);
    expect((await readRestore(live.database.queries, second.restoreId))?.cleanedUpAt).toBeInstanceOf(Date);
    await expect(planRollback(live)).rejects.toMatchObject({ code: 'not-found', exitCode: 3 });
  });

  it('waits for the servers to pause, and the restored database serves at once', async () => {
    const { context, host, cluster } = await makeCluster();
    await createBackup(context, cluster, { kind: 'manual' });
    const { queries } = cluster.database;
    const serverId = '00000000-0000-7000-8000-000000000001';
    const registration = { serverId, nodeId: null, host: 'host-a', processId: 1, address: null, productVersion: '0' };
    await registerServer(queries, registration, 60_000);
    const identity = await host.server.databaseIdentity(host.server.liveName);

    const running = restore(context, host, confirmed);
    const asked = await expect
      .poll(() => readMaintenance(queries), { timeout: 30_000 })
      .toBeDefined()
      .then(() => readMaintenance(queries));
    expect(asked).toMatchObject({ reason: 'restore', begunBy: 'test' });
    expect(await host.server.databaseIdentity(host.server.liveName)).toBe(identity);
    await acknowledgeMaintenance(queries, serverId, asked!.maintenanceId);
    await running;

    const live = await reopen(context, host);
    expect(await readMaintenance(live.database.queries)).toBeUndefined();
    expect(await liveServers(live.database.queries)).toEqual([]);
  });

  it('waits for a server that renews its registration, whatever time that says, and tells for whom', async () => {
    const { host, cluster } = await makeCluster();
    await createBackup(makeContext(), cluster, { kind: 'manual' });
    const { queries } = cluster.database;
    const serverId = '00000000-0000-7000-8000-000000000001';
    const registration = { serverId, nodeId: null, host: 'host-b', processId: 77, address: null, productVersion: '0' };
    await registerServer(queries, registration, 60_000);
    // As where the clock of the database server was set back since: by it the heartbeats lie ahead.
    let seconds = 0;
    const renewing = setInterval(() => {
      seconds += 5;
      void sql`UPDATE servers SET heartbeat_at = now() + INTERVAL '1 hour' + ${seconds}::INT8 * INTERVAL '1 second'`
        .execute(queries)
        .catch(() => {});
    }, 500);
    onTestFinished(() => clearInterval(renewing));
    const identity = await host.server.databaseIdentity(host.server.liveName);
    const context = makeContext({ clock: { ...systemClock, monotonicMs: () => systemClock.monotonicMs() * 5 } });

    const running = restore(context, host, { ...confirmed, safetyBackup: false });
    await expect.poll(() => readMaintenance(queries), { timeout: 30_000 }).toBeDefined();
    const asked = await readMaintenance(queries);
    // More than one time to live by that clock.
    await sleep(5_000);
    expect(await host.server.databaseIdentity(host.server.liveName)).toBe(identity);
    expect(context.notes).toContain(`waiting for the server of host "host-b" (process 77, id ${serverId}) to pause`);
    await acknowledgeMaintenance(queries, serverId, asked!.maintenanceId);
    await running;
    expect(seconds).toBeGreaterThanOrEqual(25);
    expect(await host.server.databaseIdentity(host.server.liveName)).not.toBe(identity);
  });
});

describe('a restore that may not begin', () => {
  it('stops where the live database belongs to another cluster', async () => {
    const { context, host, cluster } = await makeCluster();
    await createBackup(context, cluster, { kind: 'manual' });
    const other = await makeCluster();
    const before = await dumpDatabase(other.cluster.database);

    const attempt = restore(context, { ...host, server: other.host.server }, confirmed);

    await expect(attempt).rejects.toMatchObject({
      code: 'repository-foreign',
      exitCode: 12,
      message: expect.stringContaining(other.cluster.keyring.clusterId),
    });
    expect(await dumpDatabase(other.cluster.database)).toEqual(before);
    expect(await host.server.databaseNames(stagingPrefix(other.host.server.liveName))).toEqual([]);
  });

  it('stops while a backup runs', async () => {
    const { context, host, cluster } = await makeCluster();
    await createBackup(context, cluster, { kind: 'manual' });
    const identity = await host.server.databaseIdentity(host.server.liveName);
    await sql`UPDATE leases SET counter = counter + 1, holder = 'a backup', expires_at = now() + INTERVAL '1 hour'
      WHERE name = 'operation'`.execute(cluster.database.queries);

    await expect(restore(context, host, confirmed)).rejects.toMatchObject({
      code: 'lease-held',
      exitCode: 13,
      message: expect.stringContaining('a backup'),
    });

    expect(await host.server.databaseIdentity(host.server.liveName)).toBe(identity);
    expect(await host.server.databaseNames(stagingPrefix(host.server.liveName))).toEqual([]);
  });

  it('stops where no safety backup can be taken, and goes on when told to do without', async () => {
    const { context, host, cluster } = await makeCluster();
    await addUsers(cluster.database, 2);
    const wanted = await dumpDatabase(cluster.database);
    const { id } = await createBackup(context, cluster, { kind: 'manual' });
    // The live schema is newer than this program, which would leave out what it does not know.
    await sql`INSERT INTO schema_migrations (version, name, checksum, applied_at) VALUES (99, 'future', 'x', now())`.execute(
      cluster.database.queries,
    );

    const attempt = restore(context, host, confirmed);

    await expect(attempt).rejects.toMatchObject({
      code: 'version-incompatible',
      exitCode: 22,
      hint: expect.stringContaining('--without-safety-backup'),
    });
    expect((await readCatalog(host.store, cluster.keyring)).backups.map(({ entry }) => entry.id)).toEqual([id]);
    const result = await restore(context, host, { ...confirmed, safetyBackup: false });
    expect(result.safetyBackupId).toBeNull();
    const live = await openCluster(makeContext(), host);
    expect(await dumpDatabase(live.database)).toEqual(wanted);
    await live.database.close();
  });

  it('stops where a safety backup would leave out tables, and what it replaces without one is not rolled back to', async () => {
    const { context, host, cluster } = await makeCluster();
    const { id } = await createBackup(context, cluster, { kind: 'manual' });
    await addUsers(cluster.database, 50);
    await cluster.database.runScript('DELETE FROM schema_migrations WHERE version > 2');
    const unrecorded = { code: 'damaged', exitCode: 20, message: expect.stringContaining('table "users"') as string };

    await expect(restore(context, host, confirmed)).rejects.toMatchObject({
      ...unrecorded,
      hint: expect.stringContaining('--without-safety-backup') as string,
    });
    expect((await readCatalog(host.store, cluster.keyring)).backups.map(({ entry }) => entry.id)).toEqual([id]);
    const { beforeDatabase } = await restore(context, host, { ...confirmed, safetyBackup: false });
    const restored = await reopen(makeContext(), host);
    const plan = await planRollback(restored);
    await expect(rollbackRestore(context, restored, plan)).rejects.toMatchObject(unrecorded);
    const before = host.server.open(beforeDatabase!, { connections: 1 });
    expect(await before.countRows('users')).toBe(50);
    await before.close();
  });
});
