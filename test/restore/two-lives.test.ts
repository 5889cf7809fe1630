import { describe, expect, it } from 'vitest';
import { acceptDatabase } from '#operations/accept-database.ts';
import type { Cluster } from '#operations/context.ts';
import { createBackup, type BackupResult } from '#operations/create-backup.ts';
import { evictNode } from '#operations/evict-node.ts';
import { openCluster } from '#operations/open-cluster.ts';
import { planEviction, planRotation } from '#operations/plan-key-change.ts';
import { findBackup, readCatalog } from '#operations/read-catalog.ts';
import { planRollback } from '#operations/plan-rollback.ts';
import { prune } from '#operations/prune.ts';
import { readStatus } from '#operations/read-status.ts';
import { restore } from '#operations/restore.ts';
import { rotateKeys } from '#operations/rotate-keys.ts';
import { rollbackRestore } from '#operations/rollback-restore.ts';
import { takeOver } from '#operations/take-over.ts';
import { listAuditEvents } from '#store/audit.ts';
import { readCluster } from '#store/cluster.ts';
import { readSetting, saveSetting } from '#store/settings.ts';
import { Scene } from '../attacks/stage.ts';
import { makeCluster } from '../fixtures/cluster.ts';
import { makeContext, makeHost, type TestHost } from '../fixtures/host.ts';
import { enrolHosts } from '../fixtures/hosts.ts';
import { freshDatabaseName } from '../fixtures/postgresql.ts';
import { storeWith } from '../fixtures/repository.ts';
import { confirmed, reopen, restoreInto } from '../fixtures/restoring.ts';
import { addUsers } from '../fixtures/rows.ts';
import { workersBefore } from '../fixtures/workers.ts';

const context = makeContext();
const schedules = { backupSchedule: undefined, drillSchedule: undefined, pruneSchedule: undefined };
const settings = { ...schedules, verifyPeriodMs: 1e9, onOneDisk: [], embeddedDatabase: false };

const backUp = async (cluster: Cluster) => await createBackup(context, cluster, { kind: 'manual' });
const problemsOf = async (cluster: Cluster): Promise<string[]> =>
  (await readStatus(context, cluster, settings)).findings
    .filter(({ severity }) => severity === 'problem')
    .map(({ code }) => code);
const latestOf = async (host: TestHost, { keyring }: Cluster) =>
  findBackup(await readCatalog(host.store, keyring), 'latest').entry.id;
const incarnationOf = async ({ database }: Cluster) => (await readCluster(database.queries))?.incarnation.number;

/** A cluster with a backup, and its data moved into another database out of that. */
async function moved() {
  const { host, cluster: old } = await makeCluster();
  await addUsers(old.database, 3);
  await backUp(old);
  return { host, old, current: await restoreInto(context, host) };
}

/** The cluster restored into another database, with the host that opens it there. */
async function openedBeside(host: TestHost) {
  const beside = await makeHost({ directory: host.directory, store: host.store, liveName: freshDatabaseName() });
  await restore(context, beside, confirmed);
  return { host: beside, cluster: await reopen(context, beside) };
}

describe('two databases of one cluster that back up into one repository', () => {
  it('do not both: the older one is refused, in its status and in a prune too, and nothing of it is listed', async () => {
    const { host, old, current } = await moved();
    expect(await problemsOf(old)).toEqual([]);
    const { id } = await backUp(current);
    await addUsers(old.database, 2, 'written-since.example.org');

    await expect(backUp(old)).rejects.toMatchObject({
      code: 'superseded',
      exitCode: 12,
      message: expect.stringMatching(`backup ${id} .* has incarnation 2, the database "${old.database.name}" .* has 1`),
      hint: expect.stringContaining('backup create --take-over'),
    });
    const pruning = { policy: { last: 1 }, graceMs: 86_400_000, cause: 'manual', acceptEmptiedTables: false } as const;
    await expect(prune(context, old, pruning)).rejects.toMatchObject({ code: 'superseded' });
    expect(await problemsOf(old)).toEqual(['superseded', 'run-failed', 'run-failed']);

    expect(await problemsOf(current)).toEqual([]);
    expect(await latestOf(host, current)).toBe(id);
    expect((await backUp(current)).sequence).toBe(3);
  });

  it('are known to a dry run of a prune, where that of the host is at hand', async () => {
    const { host, cluster: old } = await makeCluster();
    await backUp(old);
    const { id } = await backUp((await openedBeside(host)).cluster);
    const preview = ['backup', 'prune', '--dry-run', '--keep-last', '1'];
    const beside = new Scene({ host }, { database: host.server.liveName });
    expect(await beside.fail(...preview)).toMatchObject({ exitCode: 12, code: 'superseded' });
    const { document } = await new Scene({ host }).succeed(...preview);
    expect(document).toMatchObject({ dryRun: true, kept: [{ id }] });
  });

  it('refuse the slower of two backups at once before it is listed', async () => {
    const { host, old, current } = await moved();
    let faster: Promise<BackupResult> | undefined;
    const startWorker = workersBefore(async () => void (await (faster ??= backUp(current))));
    const slow = makeContext({ startWorker });
    await expect(createBackup(slow, old, { kind: 'manual' })).rejects.toMatchObject({ code: 'superseded' });
    expect(await latestOf(host, current)).toBe((await faster)?.id);
    expect((await readCatalog(host.store, current.keyring)).backups).toHaveLength(2);
  });

  it('change places where a person says so, in the audit log, and a crash before the backup loses nothing', async () => {
    const { host, old, current } = await moved();
    await backUp(current);

    await takeOver(context, old);

    expect(await incarnationOf(old)).toBe(3);
    const { id } = await backUp(await reopen(context, host));
    expect(await latestOf(host, old)).toBe(id);
    const events = await listAuditEvents(old.database.queries, { limit: 100 });
    expect(events.filter(({ action }) => action === 'taken over')).toMatchObject([
      { details: { incarnation: { number: 3 }, because: expect.stringContaining('has incarnation 2') } },
    ]);
    await expect(backUp(current)).rejects.toMatchObject({ code: 'superseded' });
    expect(await problemsOf(current)).toContain('superseded');
    // Once more there is nothing to take.
    await takeOver(context, old);
    expect(await incarnationOf(old)).toBe(3);
  });

  it('stop each other where both were restored from one backup', async () => {
    const { host, current } = await moved();
    const other = await restoreInto(context, host);
    expect([await incarnationOf(current), await incarnationOf(other)]).toEqual([2, 2]);
    await backUp(other);
    await expect(backUp(current)).rejects.toMatchObject({ code: 'superseded' });
  });

  it('are no trouble as long as one of them only is looked at', async () => {
    const { old, current } = await moved();
    await addUsers(current.database, 2, 'tried.example.org');
    expect(await problemsOf(current)).toEqual([]);
    expect((await backUp(old)).sequence).toBe(2);
    expect(await problemsOf(old)).toEqual([]);
  });

  it('become one by a restore into the older one, which is backed up before it is replaced', async () => {
    const { host, old, current } = await moved();
    await backUp(current);
    await addUsers(old.database, 2, 'written-since.example.org');

    const { safetyBackupId } = await restore(context, host, confirmed);

    expect(safetyBackupId).not.toBeNull();
    const again = await reopen(context, host);
    expect(await incarnationOf(again)).toBe(3);
    await backUp(again);
    await expect(backUp(current)).rejects.toMatchObject({ code: 'superseded' });
  });
});

describe('a restore into a database beside the live one, as a try', () => {
  it('stops no backup of the live one, however often it is repeated', async () => {
    const { host, old } = await moved();
    const tried = await makeHost({ directory: host.directory, store: host.store, liveName: freshDatabaseName() });
    await restore(context, tried, confirmed);
    await backUp(old);

    const { safetyBackupId } = await restore(context, tried, confirmed);

    const { backups } = await readCatalog(host.store, old.keyring);
    expect(backups.find(({ entry }) => entry.id === safetyBackupId)?.entry).toMatchObject({
      kind: 'safety',
      incarnation: { number: 2 },
    });
    expect((await backUp(old)).kind).toBe('manual');
    expect(await problemsOf(old)).toEqual([]);
  });

  it('may change no keys once the live one has backed up since, and says before that there may be one', async () => {
    const { host, old } = await moved();
    const tried = await restoreInto(context, host);
    expect(await planRotation(old)).toMatchObject({ isUnsavedLife: false });
    expect(await planRotation(tried)).toMatchObject({ isUnsavedLife: true });
    await backUp(await restoreInto(context, host));

    await expect(planRotation(tried)).rejects.toMatchObject({ code: 'superseded', exitCode: 12 });
    await expect(rotateKeys(context, host, old)).rejects.toMatchObject({ code: 'superseded' });
    expect((await reopen(context, host)).keyring.keyGeneration).toBe(1);
  });

  it('has a backup withdrawn that is written while it changes the keys', async () => {
    const { host, old } = await moved();
    const { host: triedHost, cluster: tried } = await openedBeside(host);
    let rotated: Promise<unknown> | undefined;
    const store = storeWith(host.store, {
      put: async (key, bytes) => {
        if (key.startsWith('backups/')) await (rotated ??= rotateKeys(context, triedHost, tried));
        return await host.store.put(key, bytes);
      },
    });

    await expect(createBackup(context, { ...old, store }, { kind: 'manual' })).rejects.toMatchObject({
      code: 'lease-held',
      message: expect.stringMatching(/committed new keys at the same time.*taken off the list/),
    });
    expect(rotated).toBeDefined();
    expect((await readCatalog(host.store, (await reopen(context, triedHost)).keyring)).rejected).toEqual([]);
  });

  it('that changed the keys leaves the other to be accepted by its key, with every secret where nobody was evicted', async () => {
    const { host, old } = await moved();
    const { host: triedHost, cluster: tried } = await openedBeside(host);
    const secret = Buffer.from('written since the backup');
    await old.database.transaction(
      async (queries) => await saveSetting(queries, old.keyring, { name: 'smtp', value: {}, secret }, context),
    );
    const { clusterKey } = await rotateKeys(context, triedHost, tried);

    await expect(openCluster(context, host)).rejects.toMatchObject({
      code: 'import-pending',
      message: expect.stringContaining('keys of the cluster were changed without the database'),
      hint: expect.stringMatching(/accept-import --cluster-key.*backup create --take-over/),
    });
    await acceptDatabase(context, host, { clusterKey, confirm: async () => {} });
    const accepted = await reopen(context, host);
    expect((await readSetting(accepted.database.queries, accepted.keyring, 'smtp'))?.secret).toEqual(secret);
    await backUp(accepted);
    await expect(backUp(await reopen(context, triedHost))).rejects.toMatchObject({ code: 'superseded' });
  });

  it('that evicted a host leaves the other without what that host may have sealed', async () => {
    const { host, old } = await moved();
    await enrolHosts(host, ['host-b']);
    await backUp(await reopen(context, host));
    const { host: triedHost, cluster: tried } = await openedBeside(host);
    const { keyring } = await reopen(context, host);
    await old.database.transaction(async (queries) => {
      await saveSetting(queries, keyring, { name: 'smtp', value: {}, secret: Buffer.from('x') }, context);
    });
    const { node } = await planEviction(tried, 'host-b');
    const { clusterKey } = await evictNode(context, triedHost, tried, node);

    await acceptDatabase(context, host, { clusterKey, confirm: async () => {} });
    const accepted = await reopen(context, host);
    await expect(readSetting(accepted.database.queries, accepted.keyring, 'smtp')).rejects.toMatchObject({
      code: 'forged',
    });
  });
});

describe('a restore in place', () => {
  it('can be rolled back after its database was taken for the live one', async () => {
    const { host, cluster } = await makeCluster();
    await addUsers(cluster.database, 3);
    await backUp(cluster);
    await restore(context, host, confirmed);
    const restored = await reopen(context, host);
    await backUp(await restoreInto(context, host));

    await takeOver(context, restored);

    await backUp(restored);
    await rollbackRestore(context, restored, await planRollback(restored));
    const back = await reopen(context, host);
    expect(await incarnationOf(back)).toBe(4);
    await backUp(back);
  });

  it('can be rolled back after its database was left behind and accepted', async () => {
    const { host, cluster } = await makeCluster();
    await addUsers(cluster.database, 3);
    await backUp(cluster);
    await addUsers(cluster.database, 2, 'written-since.example.org');
    const { restoreId } = await restore(context, host, confirmed);
    await backUp(await reopen(context, host));
    const { host: triedHost, cluster: tried } = await openedBeside(host);
    const { clusterKey } = await rotateKeys(context, triedHost, tried);

    await acceptDatabase(context, host, { clusterKey, confirm: async () => {} });

    const accepted = await reopen(context, host);
    const plan = await planRollback(accepted);
    expect(plan).toMatchObject({ undoes: 'restore', restoreId });
    await rollbackRestore(context, accepted, plan);
    const back = await reopen(context, host);
    expect([back.keyring.fingerprint, await back.database.countRows('users')]).toEqual([clusterKey, 5]);
    await backUp(back);
  });

  it('goes on backing up, and so does what a rollback puts back', async () => {
    const { host, cluster } = await makeCluster();
    await backUp(cluster);
    await restore(context, host, confirmed);
    const restored = await reopen(context, host);
    await backUp(restored);
    expect(await problemsOf(restored)).toEqual([]);

    await rollbackRestore(context, restored, await planRollback(restored));

    const back = await reopen(context, host);
    expect(await incarnationOf(back)).toBe(3);
    await backUp(back);
    expect(await problemsOf(back)).toEqual([]);
  });
});
