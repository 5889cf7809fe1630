import { sql } from 'kysely';
import { describe, expect, it } from 'vitest';
import { systemClock } from '#adapters/system/clock.ts';
import { keyringPath } from '#keys/keyring-paths.ts';
import { createBackup } from '#operations/create-backup.ts';
import { enrolNode, inviteNode } from '#operations/enrol-node.ts';
import { evictNode } from '#operations/evict-node.ts';
import { planRestore } from '#operations/plan-restore.ts';
import { planEviction } from '#operations/plan-key-change.ts';
import { readCatalog } from '#operations/read-catalog.ts';
import { restore } from '#operations/restore.ts';
import { planRollback } from '#operations/plan-rollback.ts';
import { rollbackRestore } from '#operations/rollback-restore.ts';
import { rotateKeys } from '#operations/rotate-keys.ts';
import { runVerification } from '#operations/recorded-run.ts';
import { tendKeys } from '#operations/tend-keys.ts';
import { verifyBackups } from '#operations/verify-backup.ts';
import { pendingJoinRequests } from '#store/join-requests.ts';
import { listNodes } from '#store/nodes.ts';
import { saveSetting, readSetting } from '#store/settings.ts';
import type { CrashPoint } from '#model/crash-point.ts';
import { makeCluster } from '../fixtures/cluster.ts';
import { makeContext, makeHost, type TestHost } from '../fixtures/host.ts';
import { admit, anotherHost, enrolHosts, withCluster } from '../fixtures/hosts.ts';
import { freshDatabaseName } from '../fixtures/postgresql.ts';
import { storeWith } from '../fixtures/repository.ts';
import { confirmed, reopen } from '../fixtures/restoring.ts';

const garbage = Buffer.from('{"type":"epoch"}');

/** Ends the operation at a point, as a kill does: nothing of it runs after. */
function stoppedAt(point: CrashPoint) {
  const reached: CrashPoint[] = [];
  const context = makeContext({
    crashPoints: {
      reach: (each) => {
        reached.push(each);
        if (each === point) throw new Error(`stopped at ${point}`);
      },
    },
  });
  return { context, reached };
}

describe('new keys', () => {
  it('go to another number when something lies at the next ones, also when it is put there in the last moment', async () => {
    const { context, host, cluster } = await makeCluster();
    const old = await createBackup(context, cluster, { kind: 'manual' });
    const { nodeId, credentialId } = cluster.keyring;
    const planted = [
      keyringPath({ type: 'epoch', epoch: 2 }),
      keyringPath({ type: 'slot', epoch: 3, nodeId, credentialId }),
      keyringPath({ type: 'members', number: 2 }),
    ];
    for (const path of planted) await host.store.put(path, garbage);
    const lastMoment = [keyringPath({ type: 'epoch', epoch: 4 }), keyringPath({ type: 'members', number: 3 })];
    const store = storeWith(host.store, {
      put: async (key, bytes) => {
        if (lastMoment.includes(key)) await host.store.put(key, garbage);
        return await host.store.put(key, bytes);
      },
    });

    const change = await rotateKeys(context, { ...host, store }, { ...cluster, store });

    // Number 3 of the memberships was taken as well; what follows is this host's resealed credential.
    expect(change).toMatchObject({ keyGeneration: 2, epoch: 5, membershipNumber: 5, waitingFor: [] });
    for (const path of [...planted, ...lastMoment]) {
      expect(await host.store.get(path, { maxBytes: 100 }), path).toEqual(garbage);
    }
    const empty = await makeHost({ directory: host.directory, liveName: freshDatabaseName() });
    await restore(context, empty, { ...confirmed, backup: old.id });
    const restored = await reopen(context, empty);
    expect(restored.keyring).toMatchObject({ keyGeneration: 2, newestEpoch: 5, sealedGeneration: 2 });
    await createBackup(context, restored, { kind: 'manual' });
  });

  it('are committed although the answers of the store are lost', async () => {
    const { context, host, cluster } = await makeCluster();
    const store = storeWith(host.store, {
      put: async (key, bytes) => {
        await host.store.put(key, bytes);
        return 'exists';
      },
    });
    const change = await rotateKeys(context, { ...host, store }, { ...cluster, store });
    expect(change).toMatchObject({ keyGeneration: 2, epoch: 2, waitingFor: [] });
  });

  it('are made once when the process that makes them stands still before the commit and comes back', async () => {
    const { context, host, cluster } = await makeCluster();
    const [second] = (await enrolHosts(host, ['host-b'])) as [TestHost];
    const [waiting, gate] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    let attempts = 0;
    const store = storeWith(host.store, {
      put: async (key, bytes) => {
        if (key.endsWith('/epoch.json')) {
          attempts += 1;
          waiting.resolve();
          await gate.promise;
        }
        return await host.store.put(key, bytes);
      },
    });
    const slow = rotateKeys(context, { ...host, store }, { ...cluster, store }).catch((error: unknown) => error);
    await waiting.promise;
    await sql`UPDATE leases SET expires_at = now() - INTERVAL '1 second', counter = counter + 1`.execute(
      cluster.database.queries,
    );

    const change = await rotateKeys(context, second, await reopen(context, second));
    gate.resolve();
    expect(await slow).toMatchObject({ code: 'lease-held', exitCode: 13 });

    expect([change.keyGeneration, change.epoch, attempts]).toEqual([2, 3, 1]);
    const opened = await tendKeys(context, host, await reopen(context, host));
    expect(opened.keyring).toMatchObject({ fingerprint: change.clusterKey, epochs: [1, 3], sealedGeneration: 2 });
    await createBackup(context, opened, { kind: 'manual' });
  });

  it('are made once also when that process commits while another looks for a number', async () => {
    const { context, host, cluster } = await makeCluster();
    const [second] = (await enrolHosts(host, ['host-b'])) as [TestHost];
    const [waiting, gate] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const slowStore = storeWith(host.store, {
      put: async (key, bytes) => {
        if (key.endsWith('/epoch.json')) {
          waiting.resolve();
          await gate.promise;
        }
        return await host.store.put(key, bytes);
      },
    });
    const slow = rotateKeys(context, { ...host, store: slowStore }, { ...cluster, store: slowStore });
    const outcome = slow.catch((error: unknown) => error);
    await waiting.promise;
    await sql`UPDATE leases SET expires_at = now() - INTERVAL '1 second', counter = counter + 1`.execute(
      cluster.database.queries,
    );

    const store = storeWith(second.store, {
      list: async function* (prefix) {
        if (prefix === 'keyring/epochs/') {
          gate.resolve();
          await outcome;
        }
        yield* second.store.list(prefix);
      },
    });
    const opened = await reopen(context, second);
    await expect(rotateKeys(context, { ...second, store }, { ...opened, store })).rejects.toMatchObject({
      code: 'lease-held',
      message: expect.stringContaining('keyring/epochs/2/epoch.json'),
    });
    expect(await outcome).toMatchObject({ code: 'lease-held', exitCode: 13 });

    const change = await rotateKeys(context, second, await reopen(context, second));
    expect(change).toMatchObject({ keyGeneration: 2, epoch: 2 });
    const tended = await tendKeys(context, host, await reopen(context, host));
    expect(tended.keyring).toMatchObject({ fingerprint: change.clusterKey, epochs: [1, 2], sealedGeneration: 2 });
  });

  it('end the invites of before: a host that is just joining hears why, and joins with a new one', async () => {
    const { context, host, cluster } = await makeCluster();
    const { token } = await inviteNode(context, cluster);
    const joining = await anotherHost(host, 'host-b');
    const outcome = enrolNode(makeContext(), joining, { token, waitMs: 60_000 }).catch((error: unknown) => error);
    await expect.poll(() => pendingJoinRequests(cluster.database.queries)).toHaveLength(1);

    await rotateKeys(context, host, cluster);
    expect(await outcome).toMatchObject({
      code: 'not-permitted',
      message: expect.stringContaining('before the keys of the cluster changed'),
    });
    await admit(host);

    expect((await reopen(context, host)).keyring.membership.nodes).toHaveLength(1);
    await enrolHosts(host, ['host-c']);
    const { keyring } = await reopen(context, host);
    const [, third] = keyring.membership.nodes;
    expect([third?.name, keyring.epochsOpenableBy(third!.nodeId)]).toEqual(['host-c', new Set([1, 2])]);
  });

  it('refuse what was begun with the old ones', async () => {
    const { context, host, cluster } = await makeCluster();
    await rotateKeys(context, host, cluster);
    await expect(createBackup(context, cluster, { kind: 'manual' })).rejects.toMatchObject({ code: 'lease-held' });
    await expect(inviteNode(context, cluster)).rejects.toMatchObject({ code: 'lease-held' });
    const secret = Buffer.from('late');
    await expect(
      saveSetting(cluster.database.queries, cluster.keyring, { name: 'late', value: null, secret }, context),
    ).rejects.toMatchObject({ code: 'lease-held' });
    expect((await readCatalog(host.store, (await reopen(context, host)).keyring)).backups).toEqual([]);
  });
});

it('new keys keep the secrets of a database that a rollback puts back from before they changed', async () => {
  const { context, host, cluster } = await makeCluster();
  const setting = { name: 'smtp', value: null, secret: Buffer.from('a secret') };
  await saveSetting(cluster.database.queries, cluster.keyring, setting, context);
  await createBackup(context, cluster, { kind: 'manual' });
  await restore(context, host, confirmed);
  await rotateKeys(context, host, await reopen(context, host));
  const rotated = await reopen(context, host);
  await rollbackRestore(context, rotated, await planRollback(rotated));
  const back = await reopen(context, host);
  expect(back.keyring).toMatchObject({ keyGeneration: 2, membership: { currentEpoch: 2 } });
  expect((await readSetting(back.database.queries, back.keyring, 'smtp'))?.secret).toEqual(setting.secret);
});

describe('an eviction', () => {
  it('of this host, of the last one and of nobody is refused', async () => {
    const { context, host, cluster } = await makeCluster();
    await expect(planEviction(cluster, 'host-a')).rejects.toMatchObject({
      code: 'not-permitted',
      message: expect.stringContaining('last host'),
      hint: expect.stringContaining('node invite'),
    });
    await enrolHosts(host, ['host-b']);
    const opened = await reopen(context, host);
    await expect(planEviction(opened, opened.keyring.nodeId)).rejects.toMatchObject({
      code: 'not-permitted',
      hint: expect.stringContaining('another enrolled host'),
    });
    await expect(planEviction(opened, 'host-z')).rejects.toMatchObject({ code: 'not-found', exitCode: 3 });
  });

  it('outlives the database: killed after its commit, it is finished by another host on an empty machine', async () => {
    const { context, host } = await makeCluster();
    const [second, third] = (await enrolHosts(host, ['host-b', 'host-c'])) as [TestHost, TestHost];
    const opened = await reopen(context, host);
    const secret = Buffer.from('a secret');
    await saveSetting(opened.database.queries, opened.keyring, { name: 'smtp', value: null, secret }, context);
    await createBackup(context, opened, { kind: 'manual' });
    const { node } = await planEviction(opened, 'host-c');
    const killed = stoppedAt('advance-keys.epoch-written');
    await expect(evictNode(killed.context, host, opened, node)).rejects.toThrow('stopped at');
    expect(killed.reached.at(-1)).toBe('advance-keys.epoch-written');

    const repository = `${host.directory}/backups`;
    const empty = await makeHost({ directory: second.directory, liveName: freshDatabaseName(), repository });
    // No recovery line shows its key yet: whoever began the change knows that the key that is shown is of that one.
    await expect(restore(context, empty, confirmed)).rejects.toMatchObject({ code: 'usage', exitCode: 2 });
    const { clusterKey } = await planRestore(empty, 'latest');
    await restore(context, empty, { ...confirmed, trust: { confirmed: false, clusterKey: clusterKey! } });
    const restored = await tendKeys(context, empty, await reopen(context, empty));

    expect(restored.keyring).toMatchObject({ keyGeneration: 2, sealedGeneration: 2, newestEpoch: 2 });
    expect((await listNodes(restored.database.queries)).map(({ name, status }) => [name, status])).toEqual([
      ['host-a', 'PROVISIONED'],
      ['host-b', 'PROVISIONED'],
      ['host-c', 'DEACTIVATED'],
    ]);
    expect((await readSetting(restored.database.queries, restored.keyring, 'smtp'))?.secret).toEqual(secret);
    await createBackup(context, restored, { kind: 'manual' });
    const evicted = await makeHost({ directory: third.directory, liveName: empty.server.liveName, repository });
    await expect(withCluster(evicted, async () => {})).rejects.toMatchObject({ code: 'not-permitted', exitCode: 40 });
  });

  it('that only the database knows of survives a restore and its rollback', async () => {
    const { context, host } = await makeCluster();
    const [second] = (await enrolHosts(host, ['host-b', 'host-c'])) as [TestHost];
    const opened = await reopen(context, host);
    await createBackup(context, opened, { kind: 'manual' });
    const killed = stoppedAt('advance-keys.settled');
    const { node } = await planEviction(opened, 'host-c');
    await expect(evictNode(killed.context, host, opened, node)).rejects.toThrow('stopped at');

    await restore(context, second, confirmed);
    const restored = await reopen(context, second);
    expect(restored.keyring.membership.nodes.map(({ name }) => name)).toEqual(['host-a', 'host-b']);
    await rollbackRestore(context, restored, await planRollback(restored));
    const back = await tendKeys(context, second, await reopen(context, second));
    expect(back.keyring.membership.nodes.map(({ name }) => name)).toEqual(['host-a', 'host-b']);
    await createBackup(context, back, { kind: 'manual' });
  });
});

/** Keys that begin to change once `rotate` is called, and stand still when they have listed what counts, until `goOn`. */
async function changing() {
  const { context, host, cluster } = await makeCluster();
  const { id } = await createBackup(context, cluster, { kind: 'manual' });
  const [listed, goOn] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const store = storeWith(host.store, {
    put: async (key, bytes) => {
      if (key.startsWith('keyring/epochs/2/')) {
        listed.resolve();
        await goOn.promise;
      }
      return await host.store.put(key, bytes);
    },
  });
  const verifying = await reopen(context, host);
  const change = rotateKeys(context, { ...host, store }, { ...cluster, store });
  await listed.promise;
  return { context, host, id, verifying, change, goOn: goOn.resolve };
}
const changed = { code: 'lease-held', message: expect.stringContaining('keys of the cluster were changed') };
const rejected = async (host: TestHost) =>
  (await readCatalog(host.store, (await reopen(makeContext(), host)).keyring)).rejected;

describe('a verification that ends while the keys change', () => {
  it('waits until they have, where it has the database, and leaves nothing that does not count', async () => {
    const { host, id, verifying, change, goOn } = await changing();
    const waits = Promise.withResolvers<void>();
    const sleep: typeof systemClock.sleep = async (ms, signal) => {
      waits.resolve();
      await systemClock.sleep(ms, signal);
    };
    const context = makeContext({ clock: { ...systemClock, sleep } });
    const outcome = runVerification(context, verifying, [id], 'manual').catch((error: unknown) => error);
    await waits.promise;
    goOn();
    await change;
    expect([await outcome]).toMatchObject([changed]);
    expect(await rejected(host)).toEqual([]);
    const after = await reopen(context, host);
    expect(await runVerification(context, after, [id], 'manual')).toMatchObject({ failed: [] });
    expect(await rejected(host)).toEqual([]);
  });

  it('says that it may count nowhere, where it has the repository alone', async () => {
    const { context, host, id, verifying, change, goOn } = await changing();
    const store = storeWith(host.store, {
      put: async (key, bytes) => {
        const result = await host.store.put(key, bytes);
        goOn();
        await change;
        return result;
      },
    });
    const { keyring } = verifying;
    await expect(verifyBackups(context, { store, keyring }, [id])).rejects.toMatchObject(changed);
    expect(await rejected(host)).toMatchObject([{ path: expect.stringContaining('verifications/'), code: 'forged' }]);
  });
});
