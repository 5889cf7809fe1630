import { rmSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { encodeManifest, type Manifest } from '#format/manifest.ts';
import { manifestPath } from '#format/layout.ts';
import { newClusterKeyring, openKeyring } from '#keys/keyring.ts';
import { timedId } from '#model/identifiers.ts';
import { completeKeyring, writeMarker } from '#operations/adopt-repository.ts';
import { operationLease, type Cluster, type OperationContext } from '#operations/context.ts';
import { createBackup } from '#operations/create-backup.ts';
import { migrateDatabase } from '#operations/database-status.ts';
import { openOrCreateCluster } from '#operations/open-cluster.ts';
import { planRestore } from '#operations/plan-restore.ts';
import { readCatalog } from '#operations/read-catalog.ts';
import { readManifest } from '#operations/read-manifest.ts';
import { readStatus } from '#operations/read-status.ts';
import { restore } from '#operations/restore.ts';
import { verifyAuditChain } from '#store/audit.ts';
import { insertCluster } from '#store/cluster.ts';
import { saveKeyringDocuments } from '#store/keyring-documents.ts';
import { acquireLease } from '#store/leases.ts';
import { migrate, schemaVersion } from '#store/migrate.ts';
import { loadMigrations } from '#store/migrations.ts';
import { makeCluster, type TestCluster } from '../fixtures/cluster.ts';
import { dumpDatabase } from '../fixtures/dump.ts';
import { makeContext, makeHost, type TestHost } from '../fixtures/host.ts';
import { freshDatabaseName } from '../fixtures/postgresql.ts';
import { manifestFile, objectFile, storeWith } from '../fixtures/repository.ts';
import { confirmed, reopen, restoreInto } from '../fixtures/restoring.ts';
import { addUsers } from '../fixtures/rows.ts';

describe('freshness', () => {
  it('is demanded by a host that remembers newer backups', async () => {
    const { context, host, cluster } = await makeCluster();
    const first = await createBackup(context, cluster, { kind: 'manual' });
    const second = await createBackup(context, cluster, { kind: 'manual' });
    expect((await host.localState.read())?.highestSequence).toBe(2);
    rmSync(manifestFile(host, second.id));

    const refused = restore(context, host, confirmed);
    await expect(refused).rejects.toMatchObject({
      code: 'forged',
      exitCode: 20,
      message: expect.stringContaining('sequence 2 existed'),
    });
    await expect(
      restore(context, host, { ...confirmed, trust: { confirmed: true, atLeastSequence: 2 } }),
    ).rejects.toMatchObject({ exitCode: 20 });
    // Whoever asks today hears what a restore tomorrow would say.
    const settings = {
      backupSchedule: undefined,
      drillSchedule: undefined,
      pruneSchedule: undefined,
      verifyPeriodMs: 1e9,
      onOneDisk: [],
      embeddedDatabase: false,
    };
    const status = await readStatus(context, cluster, settings);
    expect(status).toMatchObject({ healthy: false, lastBackup: { id: first.id } });
    expect(status.findings.map(({ code }) => code)).toContain('backups-hidden');
    const plan = await planRestore({ ...host, server: undefined }, 'latest');
    expect(plan).toMatchObject({ newestSequence: 1, highestSequenceSeen: 2, openableHere: true, server: null });
    expect(plan.obstacles.join()).toContain('newer backups were deleted or hidden');

    const restored = await restoreInto(context, host, { trust: { confirmed: true, missingAfter: 1 } });
    expect(await dumpDatabase(restored.database)).toEqual(await dumpDatabase(cluster.database));
    expect((await readCatalog(host.store, cluster.keyring)).backups[0]?.entry.id).toBe(first.id);
  });

  it('is not decided by what came to light since the plan was shown', async () => {
    const { context, host, cluster } = await makeCluster();
    const shown = (await createBackup(context, cluster, { kind: 'manual' })).id;
    const later = await createBackup(context, cluster, { kind: 'manual' });

    await expect(restore(context, host, { ...confirmed, shown })).rejects.toMatchObject({
      code: 'lease-held',
      exitCode: 13,
      message: expect.stringMatching(new RegExp(`is ${later.id}, of sequence 2, and was ${shown} when the plan`)),
    });
    expect(await host.server.databaseNames(`${host.server.liveName}_`)).toEqual([]);
  });

  it('is asked of whoever restores on a host that remembers nothing', async () => {
    const { context, host, cluster } = await makeCluster();
    const { clusterKey } = await createBackup(context, cluster, { kind: 'manual' });
    const empty = await emptyMachine(host);
    const other = (await makeCluster()).cluster.keyring.fingerprint;
    const attempt = (trust: { clusterKey?: string; atLeastSequence?: number }) =>
      restore(context, empty, { ...confirmed, trust: { confirmed: false, ...trust } });

    await expect(attempt({})).rejects.toMatchObject({
      code: 'usage',
      exitCode: 2,
      hint: expect.stringContaining('--cluster-key'),
    });
    await expect(attempt({ clusterKey: other })).rejects.toMatchObject({
      code: 'forged',
      exitCode: 20,
      message: expect.stringContaining(clusterKey),
    });
    await expect(attempt({ clusterKey, atLeastSequence: 5 })).rejects.toMatchObject({ code: 'forged', exitCode: 20 });
    expect(await empty.server.databaseIdentity(empty.server.liveName)).toBeUndefined();

    await attempt({ clusterKey, atLeastSequence: 1 });
    expect((await reopen(context, empty)).keyring.fingerprint).toBe(clusterKey);
    expect(await empty.localState.read()).toMatchObject({
      clusterKey,
      highestSequence: 1,
      clusterId: cluster.keyring.clusterId,
    });
  });

  it('does not let a host of one cluster restore another by mistake', async () => {
    const { context, host, cluster } = await makeCluster();
    await createBackup(context, cluster, { kind: 'manual' });
    await host.localState.update((before) => ({ ...before!, clusterId: '11111111-1111-4111-8111-111111111111' }));

    await expect(restore(context, host, confirmed)).rejects.toMatchObject({ code: 'repository-foreign', exitCode: 12 });
  });

  it('keeps an empty database beside a filled repository empty', async () => {
    const { context, host, cluster } = await makeCluster();
    await createBackup(context, cluster, { kind: 'manual' });
    const empty = await makeHost({ directory: host.directory, liveName: freshDatabaseName() });

    await expect(openOrCreateCluster(context, empty)).rejects.toMatchObject({
      code: 'restore-needed',
      exitCode: 12,
      hint: expect.stringContaining('restore run latest'),
    });

    expect(await empty.server.databaseIdentity(empty.server.liveName)).toBeUndefined();
  });
});

describe('a backup that was never read back', () => {
  it('is read whole before it is restored', async () => {
    const { context, host, cluster } = await makeCluster();
    const { id } = await createBackup(context, cluster, { kind: 'manual' });
    rmSync(objectFile(host, 'verifications'), { recursive: true });
    expect((await readCatalog(host.store, cluster.keyring)).backups[0]?.entry.verified).toBeNull();
    const restoring = makeContext();

    await restoreInto(restoring, host);

    expect(restoring.notes).toContain(`backup ${id} was not verified yet; reading all of it first`);
    expect((await readCatalog(host.store, cluster.keyring)).backups[0]?.entry.verified).toMatchObject({
      level: 'all-chunks',
    });
  });
});

describe('a repository that takes no writes', () => {
  it('can be restored from, when its backup was read back before and no safety backup is asked for', async () => {
    const { context, host, cluster } = await makeCluster();
    await createBackup(context, cluster, { kind: 'manual' });
    const wanted = await dumpDatabase(cluster.database);
    await cluster.database.close();
    let refused = 0;
    const put = (): Promise<never> => {
      refused += 1;
      return Promise.reject(new EnclaveManagerError('repository-unreachable', 'read-only'));
    };
    const store = storeWith(host.store, { put });

    await expect(restore(context, { ...host, store }, confirmed)).rejects.toMatchObject({ exitCode: 11 });
    expect(refused).toBe(1);
    await restore(context, { ...host, store }, { ...confirmed, safetyBackup: false });

    expect(refused).toBe(1);
    expect(await dumpDatabase((await reopen(context, host)).database)).toEqual(wanted);
  });
});

describe('schema versions', () => {
  it('are brought forward under the lease, so that no backup or restore sees them half done', async () => {
    const context = makeContext();
    const newest = loadMigrations().length;
    const { host, database } = await makeClusterAtSchema(newest - 1);
    const lease = await acquireLease(database, { ...operationLease, holder: 'a backup' }, context);

    await expect(migrateDatabase(context, host.server)).rejects.toMatchObject({
      code: 'lease-held',
      message: expect.stringContaining('a backup'),
    });
    const starting = openOrCreateCluster(context, host);
    await context.clock.sleep(500);
    expect(await schemaVersion(database)).toBe(newest - 1);
    await lease.release();

    const opened = await starting;
    expect(await schemaVersion(database)).toBe(newest);
    await opened.cluster.database.close();
    await database.close();
  });

  it('of a backup newer than this program, or made by another migration, are refused', async () => {
    const made = await makeCluster();
    const { context, host, cluster } = made;
    const { id } = await createBackup(context, cluster, { kind: 'manual' });
    const rows = await dumpDatabase(cluster.database);
    const newer = await publish(made, id, (manifest) => ({
      ...manifest,
      summary: { ...manifest.summary, schemaVersion: 99, productVersion: '9.9.9' },
    }));
    const edited = await publish(made, id, ({ migrations, ...manifest }) => ({
      ...manifest,
      migrations: migrations.with(1, { version: 2, checksum: 'e'.repeat(64) }),
    }));

    const attempt = (backup: string) => restore(context, host, { ...confirmed, backup });

    await expect(attempt(newer)).rejects.toMatchObject({
      code: 'version-incompatible',
      exitCode: 22,
      message: expect.stringContaining('9.9.9'),
    });
    await expect(attempt(edited)).rejects.toMatchObject({
      code: 'version-incompatible',
      exitCode: 22,
      message: expect.stringContaining('migration 2'),
    });
    expect((await planRestore(host, newer)).obstacles.join()).toContain('schema 99');
    expect(await dumpDatabase(cluster.database)).toEqual(rows);
  });

  it('of an older backup are brought forward', async () => {
    const newest = loadMigrations().length;
    const old = await makeClusterAtSchema(newest - 1);
    await addUsers(old.database, 6);
    const { id } = await createBackup(makeContext(), old, { kind: 'manual' });
    const { summary } = await readManifest(old.store!, old.keyring, id);
    expect(summary.schemaVersion).toBe(newest - 1);

    const restored = await restoreInto(makeContext(), old.host);

    expect(await schemaVersion(restored.database)).toBe(newest);
    expect(await restored.database.countRows('users')).toBe(6);
    expect(await verifyAuditChain(restored.database.queries)).toMatchObject({ position: 1 });
    await old.database.close();
  });
});

/** The same key and repository on a machine without database and state. */
async function emptyMachine({ directory }: TestHost): Promise<TestHost> {
  rmSync(`${directory}/state`, { recursive: true });
  return await makeHost({ directory, liveName: freshDatabaseName() });
}

/** Signs a changed copy of a backup's manifest into the repository. */
async function publish(
  { host, cluster, context }: TestCluster,
  backupId: string,
  change: (manifest: Manifest) => Manifest,
): Promise<string> {
  const manifest = await readManifest(host.store, cluster.keyring, backupId);
  const id = timedId(context.clock.now(), context.randomness.bytes(6));
  const changed = change({ ...manifest, summary: { ...manifest.summary, id, sequence: 2 } });
  await host.store.put(manifestPath(id), encodeManifest(cluster.keyring, changed, context.randomness));
  return id;
}

/** A cluster as an older release left it. */
async function makeClusterAtSchema(version: number): Promise<Cluster & { readonly host: TestHost }> {
  const host = await makeHost();
  const context: OperationContext = makeContext();
  const { server, store, sealing, localState, node } = host;
  await server.createDatabase(server.liveName);
  const database = server.open(server.liveName);
  await migrate(database, { to: version });
  await sealing.provision();
  const { documents } = await newClusterKeyring({ ...context, sealing }, node);
  const keyring = await openKeyring(documents, sealing);
  const createdAt = context.clock.now();
  const incarnation = { number: 1, random: '0123456789abcdef' };
  await insertCluster(database.queries, { clusterId: keyring.clusterId, state: 'ready', incarnation, createdAt });
  await saveKeyringDocuments(database.queries, documents);
  await completeKeyring(store, documents);
  await writeMarker(store, keyring, createdAt);
  // As the release of that schema noted it, which sealed no life of a database.
  const { clusterId, nodeId, credentialId, fingerprint: clusterKey } = keyring;
  const sealingProvider = sealing.provider;
  const state = { clusterId, nodeId, credentialId, sealingProvider, clusterKey, highestSequence: 0 };
  await localState.update(() => state);
  return { host, keyring, server, database, store, localState };
}
