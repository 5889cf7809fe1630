import { cpSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import type { CrashPoint } from '#model/crash-point.ts';
import { createBackup, type BackupResult } from '#operations/create-backup.ts';
import { evictNode } from '#operations/evict-node.ts';
import { openCluster, openOrCreateCluster } from '#operations/open-cluster.ts';
import { openRepository } from '#operations/open-repository.ts';
import { planEviction } from '#operations/plan-key-change.ts';
import { restore } from '#operations/restore.ts';
import { readCluster } from '#store/cluster.ts';
import { tablesOf } from '#store/tables.ts';
import { makeCluster } from '../fixtures/cluster.ts';
import { runCommand } from '../fixtures/command.ts';
import { dumpDatabase } from '../fixtures/dump.ts';
import { filesBelow } from '../fixtures/files.ts';
import { commandOn } from '../fixtures/host-command.ts';
import { makeContext, makeHost, temporaryDirectory, type TestHost } from '../fixtures/host.ts';
import { enrolHosts } from '../fixtures/hosts.ts';
import { freshDatabaseName } from '../fixtures/postgresql.ts';
import { objectFile } from '../fixtures/repository.ts';
import { confirmed, reopen } from '../fixtures/restoring.ts';
import { addUsers } from '../fixtures/rows.ts';

/** The cluster that serves, whose repository a creation must not touch. */
interface Production {
  readonly host: TestHost;
  readonly backup: BackupResult;
  readonly users: string[] | undefined;
}

let production: Production;

beforeAll(async () => {
  const context = makeContext();
  const host = await makeHost();
  const { cluster } = await openOrCreateCluster(context, host);
  await addUsers(cluster.database, 5);
  const backup = await createBackup(context, cluster, { kind: 'manual' });
  const { users } = await dumpDatabase(cluster.database);
  await cluster.database.close();
  production = { host, backup, users };
});

/** Hardware of production, wiped: its manager began another cluster, as the repository that it was given was an empty one. */
async function beginElsewhere(): Promise<TestHost> {
  const directory = temporaryDirectory();
  cpSync(join(production.host.directory, 'keys'), join(directory, 'keys'), { recursive: true });
  const host = await makeHost({ directory });
  const reached: CrashPoint[] = [];
  const reach = (point: CrashPoint): never => {
    reached.push(point);
    throw new Error('the repository refuses to be written to');
  };
  await expect(openOrCreateCluster(makeContext({ crashPoints: { reach } }), host)).rejects.toThrow('refuses to be');
  expect(reached).toEqual(['create-cluster.recorded']);
  expect(filesBelow(join(directory, 'backups'))).toEqual([]);
  return host;
}

/** The same host with the repository that was meant, of which it may spoil a copy. */
async function giveProductionTo(host: TestHost): Promise<TestHost> {
  cpSync(join(production.host.directory, 'backups'), join(host.directory, 'backups'), { recursive: true });
  return await makeHost({ directory: host.directory, liveName: host.server.liveName });
}

const foreign = { code: 'repository-foreign', exitCode: 12 };

describe('a creation that was interrupted and goes on beside the repository of another cluster', () => {
  it('writes nothing into it, and the hardware of both opens it still', async () => {
    const host = await giveProductionTo(await beginElsewhere());
    const before = filesBelow(join(host.directory, 'backups'));

    await expect(openOrCreateCluster(makeContext(), host)).rejects.toMatchObject({
      ...foreign,
      message: expect.stringMatching(/was interrupted.*belongs to cluster.*nothing was written there/) as string,
      hint: expect.stringContaining('restore run latest --cluster-key FINGERPRINT') as string,
    });

    expect(filesBelow(join(host.directory, 'backups'))).toEqual(before);
    const { keyring } = await openRepository(host.store, host.sealing);
    expect(keyring.fingerprint).toBe(production.backup.clusterKey);
  });

  it('writes nothing either where the marker was lost, or something else lies there', async () => {
    const host = await giveProductionTo(await beginElsewhere());
    rmSync(objectFile(host, 'enclave-manager.json'));
    const before = filesBelow(join(host.directory, 'backups'));
    await expect(openOrCreateCluster(makeContext(), host)).rejects.toMatchObject(foreign);
    expect(filesBelow(join(host.directory, 'backups'))).toEqual(before);

    const other = await beginElsewhere();
    const notOurs = join(other.directory, 'backups', 'notes.txt');
    cpSync(join(production.host.directory, 'keys'), join(other.directory, 'backups'), { recursive: true });
    writeFileSync(notOurs, 'of somebody else');
    const found = filesBelow(join(other.directory, 'backups'));
    expect(found).toContain(notOurs);
    await expect(openOrCreateCluster(makeContext(), other)).rejects.toMatchObject(foreign);
    expect(filesBelow(join(other.directory, 'backups'))).toEqual(found);
  });

  it('gives way to a restore that names the key', async () => {
    const host = await giveProductionTo(await beginElsewhere());
    const context = makeContext();
    const options = { backup: 'latest', safetyBackup: true } as const;
    const unnamed = restore(context, host, { ...options, trust: { confirmed: true } });
    await expect(unnamed).rejects.toMatchObject(foreign);

    const naming = ['restore', 'run', 'latest', '--cluster-key', production.backup.clusterKey, '--yes', '--json'];
    const { exitCode, stdout, stderr } = await runCommand(naming, await commandOn(host));
    expect(exitCode, stdout + stderr).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ backupId: production.backup.id, safetyBackupId: null });

    const { cluster, outcome } = await openOrCreateCluster(context, host);
    expect([outcome, cluster.keyring.fingerprint]).toEqual(['opened', production.backup.clusterKey]);
    expect((await dumpDatabase(cluster.database))['users']).toEqual(production.users);
    await createBackup(context, cluster, { kind: 'manual' });
    await cluster.database.close();
    const cleaned = await runCommand(['restore', 'cleanup', '--yes'], await commandOn(host));
    expect(cleaned.exitCode, cleaned.stderr).toBe(0);
  });

  it('does not give way once it is whole', async () => {
    const begun = await beginElsewhere();
    await (await openOrCreateCluster(makeContext(), begun)).cluster.database.close();
    const host = { ...begun, store: production.host.store };
    const trust = { confirmed: false, clusterKey: production.backup.clusterKey };
    const options = { backup: 'latest', safetyBackup: false, trust } as const;
    await expect(restore(makeContext(), host, options)).rejects.toMatchObject(foreign);
  });

  it('goes on where the place is empty, also when part of its keys was written', async () => {
    const begun = await beginElsewhere();
    const half: CrashPoint[] = [];
    const reach = (point: CrashPoint): void => {
      half.push(point);
      if (point === 'create-cluster.keyring-written') throw new Error('killed');
    };
    await expect(openOrCreateCluster(makeContext({ crashPoints: { reach } }), begun)).rejects.toThrow('killed');
    expect(half).toEqual(['create-cluster.keyring-written']);

    const { cluster, outcome } = await openOrCreateCluster(makeContext(), begun);
    expect(outcome).toBe('created');
    expect((await readCluster(cluster.database.queries))?.state).toBe('ready');
    await cluster.database.close();
    const again = await openCluster(makeContext(), begun);
    expect((await openRepository(begun.store, begun.sealing)).keyring.fingerprint).toBe(again.keyring.fingerprint);
    await again.database.close();
  });
});

describe('a database from before an eviction that says its cluster is being created', () => {
  it('hides no newer keys from a host that remembers none', async () => {
    const { context, host, cluster } = await makeCluster();
    await enrolHosts(host, ['host-b']);
    await createBackup(context, await reopen(context, host), { kind: 'manual' });
    const liveName = freshDatabaseName();
    await restore(context, await makeHost({ directory: host.directory, store: host.store, liveName }), confirmed);
    const live = await reopen(context, host);
    await evictNode(context, host, live, (await planEviction(live, 'host-b')).node);

    const directory = temporaryDirectory();
    cpSync(join(host.directory, 'keys'), join(directory, 'keys'), { recursive: true });
    const forgetful = await makeHost({ directory, store: host.store, liveName });
    const older = forgetful.server.open(liveName, { connections: 1 });
    await tablesOf(older).updateTable('cluster').set({ state: 'creating' }).execute();
    await older.close();

    const leftBehind = { code: 'import-pending', message: expect.stringContaining('keys of the cluster were changed') };
    await expect(openCluster(context, forgetful)).rejects.toMatchObject(leftBehind);
    await expect(openOrCreateCluster(context, forgetful)).rejects.toMatchObject(leftBehind);
    expect(await forgetful.localState.read()).toBeUndefined();
    expect((await reopen(context, host)).keyring.fingerprint).not.toBe(cluster.keyring.fingerprint);
  });
});
