import { sql } from 'kysely';
import { expect, it, onTestFinished } from 'vitest';
import type { Cluster, Host } from '#operations/context.ts';
import { createBackup } from '#operations/create-backup.ts';
import { evictNode } from '#operations/evict-node.ts';
import { openCluster, openOrCreateCluster } from '#operations/open-cluster.ts';
import { planEviction, planRotation } from '#operations/plan-key-change.ts';
import { prune } from '#operations/prune.ts';
import { readCatalog } from '#operations/read-catalog.ts';
import { rotateKeys } from '#operations/rotate-keys.ts';
import { readKeyringDocuments } from '#store/keyring-documents.ts';
import type { LocalState } from '#ports/local-state.ts';
import { makeCluster } from '../fixtures/cluster.ts';
import { makeContext, makeHost, type TestHost } from '../fixtures/host.ts';
import { enrolHosts } from '../fixtures/hosts.ts';
import { reopen, restoreInto } from '../fixtures/restoring.ts';

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
  expect(await rotateKeys(context, withoutStore(host), cluster)).toMatchObject({ keyGeneration: 2, waitingFor: [] });

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
