import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { sql } from 'kysely';
import { expect, it, onTestFinished } from 'vitest';
import type { Cluster, Host } from '#operations/context.ts';
import { createBackup } from '#operations/create-backup.ts';
import { evictNode } from '#operations/evict-node.ts';
import { openCluster, openOrCreateCluster } from '#operations/open-cluster.ts';
import { planEviction, planRotation } from '#operations/plan-key-change.ts';
import { prune } from '#operations/prune.ts';
import { readCatalog } from '#operations/read-catalog.ts';
import { readStatus } from '#operations/read-status.ts';
import { rotateKeys } from '#operations/rotate-keys.ts';
import { readKeyringDocuments } from '#store/keyring-documents.ts';
import type { LocalState } from '#ports/local-state.ts';
import { makeCluster } from '../fixtures/cluster.ts';
import { makeContext, makeHost, temporaryDirectory, type TestHost } from '../fixtures/host.ts';
import { enrol, enrolHosts } from '../fixtures/hosts.ts';
import { manifestFile } from '../fixtures/repository.ts';
import { reopen, restoreInto } from '../fixtures/restoring.ts';
import { unscheduled } from '../fixtures/status-settings.ts';

const withoutStore = (host: TestHost): Host => ({ ...host, store: undefined });

async function openWithoutStore(host: TestHost): Promise<Cluster> {
  const cluster = await openCluster(makeContext(), withoutStore(host));
  onTestFinished(() => cluster.database.close());
  return cluster;
}

const refused = (sign: RegExp) => ({
  code: 'configuration',
  exitCode: 10,
  message: expect.stringMatching(sign),
  hint: expect.stringContaining('Set ENCLAVE_MANAGER_REPOSITORY'),
});

it('new keys are refused without the repository that the cluster is known to have, whatever of it is left to know', async () => {
  const { context, host } = await makeCluster();
  const [second] = (await enrolHosts(host, ['host-b'])) as [TestHost];
  const cluster = await openWithoutStore(second);
  const { queries } = cluster.database;
  const before = await readKeyringDocuments(queries);
  const expectRefused = async (sign: RegExp): Promise<void> => {
    await expect(planRotation(cluster)).rejects.toMatchObject(refused(sign));
    await expect(planEviction(cluster, 'host-a')).rejects.toMatchObject(refused(sign));
    await expect(rotateKeys(context, withoutStore(second), cluster)).rejects.toMatchObject(refused(sign));
    const { keyring } = await reopen(context, host);
    const node = keyring.membership.nodes.find(({ name }) => name === 'host-a')!;
    await expect(evictNode(context, withoutStore(second), cluster, node)).rejects.toMatchObject(refused(sign));
  };

  await expectRefused(/it was created with .*backups/);
  await sql`UPDATE audit_events SET details = '{}' WHERE action = 'cluster created'`.execute(queries);
  await createBackup(context, await reopen(context, host), { kind: 'manual' });
  await expectRefused(/a backup of .* succeeded/);
  await createBackup(context, await reopen(context, second), { kind: 'manual' });
  await expectRefused(/has seen its backup of sequence 2/);

  expect(await readKeyringDocuments(queries)).toEqual(before);
  // With it they change, and every backup of before is still one.
  await rotateKeys(context, second, await reopen(context, second));
  const { backups, rejected } = await readCatalog(host.store, (await reopen(context, host)).keyring);
  expect([backups.map(({ entry }) => entry.sequence), rejected]).toEqual([[2, 1], []]);
});

it('a restored database knows of its repository by the audit log', async () => {
  const { context, host, cluster } = await makeCluster();
  await sql`UPDATE audit_events SET details = '{}' WHERE action = 'cluster created'`.execute(cluster.database.queries);
  await createBackup(context, cluster, { kind: 'manual' });
  const restored = { ...(await restoreInto(context, host)), store: undefined };
  const localState: LocalState = { read: async () => undefined, update: async (change) => change(undefined) };
  const forgetful = { ...restored, localState };
  await expect(planRotation(forgetful)).rejects.toMatchObject(refused(/event \d+ of the audit log says "restored"/));
});

it('a cluster that never had a repository changes its keys without one, and gets one that works later', async () => {
  const host = await makeHost();
  const context = makeContext();
  const { cluster } = await openOrCreateCluster(context, withoutStore(host));
  onTestFinished(() => cluster.database.close());
  expect(await planRotation(cluster)).toMatchObject({ nextBackupBytes: 0 });
  const alone = withoutStore(host) as TestHost;
  const second = await makeHost({ name: 'host-b', liveName: host.server.liveName });
  await enrol(alone, withoutStore(second) as TestHost);
  const two = await openWithoutStore(host);
  for (const [option, asked] of [
    ['--at-least-sequence', { atLeastSequence: 1 }],
    ['--accept-missing-after', { missingAfter: 1 }],
  ] as const) {
    const refusal = { code: 'usage', exitCode: 2, message: expect.stringMatching(`^${option} cannot`) as string };
    await expect(planRotation(two, asked)).rejects.toMatchObject(refusal);
    await expect(rotateKeys(context, alone, two, asked)).rejects.toMatchObject(refusal);
    await expect(planEviction(two, 'host-b', asked)).rejects.toMatchObject(refusal);
  }
  expect(await evictNode(context, alone, two, (await planEviction(two, 'host-b')).node)).toMatchObject({
    keyGeneration: 2,
    waitingFor: [],
  });

  const adopted = await openOrCreateCluster(context, host);
  onTestFinished(() => adopted.cluster.database.close());
  expect(adopted.outcome).toBe('adopted');
  const { id } = await createBackup(context, adopted.cluster, { kind: 'manual' });
  const settings = { cause: 'manual', policy: { last: 3 }, graceMs: 86_400_000, acceptEmptiedTables: false } as const;
  expect((await prune(context, adopted.cluster, settings)).kept.map((kept) => kept.id)).toEqual([id]);
  expect(await rotateKeys(context, host, adopted.cluster)).toMatchObject({ keyGeneration: 3 });
  const restored = await restoreInto(context, host, { backup: id });
  expect(restored.keyring).toMatchObject({ keyGeneration: 3, membership: { currentEpoch: 3 } });
});

it('two repositories for one database are said by the status, and new keys that would disown the other are refused', async () => {
  const { context, host, cluster } = await makeCluster();
  await createBackup(context, cluster, { kind: 'scheduled' });
  const directory = temporaryDirectory();
  const second = await makeHost({ name: 'host-b', liveName: host.server.liveName, directory });
  await enrol(host, second);
  const starting = makeContext();
  const { cluster: onSecond, outcome } = await openOrCreateCluster(starting, second);
  onTestFinished(() => onSecond.database.close());
  expect(outcome).toBe('adopted');
  const warning = /warning: \S+ was empty, and this manager uses it from now on; but the cluster had a repository: /;
  expect(starting.notes).toContainEqual(expect.stringMatching(warning));
  const codesOn = async (each: Cluster): Promise<string[]> =>
    (await readStatus(context, each, unscheduled)).findings
      .filter(({ severity }) => severity === 'problem')
      .map(({ code }) => code);
  expect(await codesOn(onSecond)).toEqual(['backup-elsewhere', 'no-backup']);

  const { id } = await createBackup(context, onSecond, { kind: 'scheduled' });
  expect([await codesOn(onSecond), await codesOn(cluster)]).toEqual([[], ['backup-elsewhere']]);
  const refusal = { ...refused(new RegExp(`${id}, is not in .* would disown what lies elsewhere`)) };
  await expect(rotateKeys(context, host, cluster)).rejects.toMatchObject(refusal);
  expect((await reopen(context, host)).keyring.keyGeneration).toBe(1);

  // Where the other one is lost or left, a backup here ends it, or a person's word.
  expect(await rotateKeys(context, host, cluster, { missingAfter: 1 })).toMatchObject({ keyGeneration: 2 });
  const left = await reopen(context, host);
  await createBackup(context, left, { kind: 'manual' });
  expect(await codesOn(left)).toEqual([]);
  expect(await rotateKeys(context, host, left)).toMatchObject({ keyGeneration: 3 });
});

it('the newest backup that lies there damaged is told as that by a host that never saw it, and new keys are refused', async () => {
  const { context, host, cluster } = await makeCluster();
  const [second] = (await enrolHosts(host, ['host-b'])) as [TestHost];
  await createBackup(context, cluster, { kind: 'scheduled' });
  const { id } = await createBackup(context, cluster, { kind: 'scheduled' });
  const elsewhere = readFileSync(manifestFile(host, id));
  writeFileSync(manifestFile(host, id), elsewhere.subarray(0, 100));
  const onSecond = await reopen(context, second);

  const { findings } = await readStatus(context, onSecond, unscheduled);
  expect(findings.find(({ code }) => code === 'backup-elsewhere')).toMatchObject({
    message: expect.stringMatching(
      `backup of this database, ${id}, lies in .* and is no backup of this cluster: .*JSON`,
    ),
    hint: expect.stringMatching(`^Put backups/${id}.json back from a copy`),
  });
  await expect(rotateKeys(context, second, onSecond)).rejects.toMatchObject({
    code: 'damaged',
    message: expect.stringMatching(`${id}, lies in .*; new keys would disown it$`),
    hint: expect.stringContaining('To lose it: --accept-missing-after 1'),
  });
  writeFileSync(manifestFile(host, id), elsewhere);
  expect(await rotateKeys(context, second, onSecond)).toMatchObject({ keyGeneration: 2 });
});

it('a repository that was lost, or left for an empty one, is begun anew: from the first backup on nothing is said of it', async () => {
  const { context, host, cluster } = await makeCluster();
  await createBackup(context, cluster, { kind: 'scheduled' });
  rmSync(join(host.directory, 'backups'), { recursive: true });
  const { cluster: again, outcome } = await openOrCreateCluster(context, host);
  onTestFinished(() => again.database.close());
  expect(outcome).toBe('adopted');

  expect(await createBackup(context, again, { kind: 'scheduled' })).toMatchObject({ sequence: 2 });
  const { healthy, findings } = await readStatus(context, again, unscheduled);
  expect([healthy, findings.filter(({ severity }) => severity === 'problem')]).toEqual([true, []]);
  expect(await rotateKeys(context, host, again)).toMatchObject({ keyGeneration: 2 });
});
