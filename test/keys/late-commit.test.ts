import { describe, expect, it } from 'vitest';
import { manifestPath } from '#format/layout.ts';
import { keyringPath } from '#keys/keyring-paths.ts';
import { createBackup } from '#operations/create-backup.ts';
import { evictNode } from '#operations/evict-node.ts';
import { openCluster } from '#operations/open-cluster.ts';
import { planEviction } from '#operations/plan-key-change.ts';
import { previewPrune, prune } from '#operations/prune.ts';
import { readCatalog } from '#operations/read-catalog.ts';
import { runVerification } from '#operations/recorded-run.ts';
import { tendKeys } from '#operations/tend-keys.ts';
import { forgetAbandonedHolders } from '#store/abandoned-holders.ts';
import type { ObjectStore } from '#ports/object-store.ts';
import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { makeCluster } from '../fixtures/cluster.ts';
import { makeContext, type TestHost } from '../fixtures/host.ts';
import { anotherHost, enrol, enrolHosts } from '../fixtures/hosts.ts';
import { chunkObjects, storeWith } from '../fixtures/repository.ts';
import { reopen, restoreInto } from '../fixtures/restoring.ts';

const settings = { cause: 'manual', policy: { last: 3 }, graceMs: 86_400_000, acceptEmptiedTables: false } as const;
const context = makeContext();

async function threeHosts() {
  const { host, cluster } = await makeCluster();
  const [second] = (await enrolHosts(host, ['host-b', 'host-c'])) as [TestHost];
  const { id } = await createBackup(context, await reopen(context, host), { kind: 'manual' });
  // What time does to the leases of who stands still.
  const letExpire = (): Promise<void> => forgetAbandonedHolders(cluster.database.queries);
  return { host, second, id, letExpire };
}

/** The first request for such a key stands still until `meanwhile` is over: a process that was stopped, or a slow network. */
function standingStill(store: ObjectStore, key: (key: string) => boolean, meanwhile: () => Promise<void>) {
  const stood: string[] = [];
  const slow = storeWith(store, {
    put: async (path, bytes) => {
      if (key(path) && stood.length === 0) {
        stood.push(path);
        await meanwhile();
      }
      return await store.put(path, bytes);
    },
  });
  return { slow, stood };
}

async function evictHostC(host: TestHost, store: ObjectStore): Promise<unknown> {
  const cluster = { ...(await reopen(context, host)), store };
  const { node } = await planEviction(cluster, 'host-c');
  return await evictNode(context, { ...host, store }, cluster, node).catch((error: unknown) => error);
}

describe('a change of keys that stood still at its commit', () => {
  const epoch2 = keyringPath({ type: 'epoch', epoch: 2 });

  it('comes to nothing once another host has backed up, and that backup stays', async () => {
    const { host, second, letExpire } = await threeHosts();
    let newer: string | undefined;
    const { slow, stood } = standingStill(
      host.store,
      (key) => key === epoch2,
      async () => {
        await letExpire();
        newer = (await createBackup(makeContext(), await reopen(context, second), { kind: 'manual' })).id;
      },
    );
    expect(await evictHostC(host, slow)).toMatchObject({ code: 'lease-held', exitCode: 13 });
    expect(stood).toEqual([epoch2]);

    const { keyring } = await tendKeys(context, second, await reopen(context, second));
    expect(keyring).toMatchObject({ keyGeneration: 1, membership: { currentEpoch: 1 } });
    const { backups, rejected } = await readCatalog(host.store, keyring);
    expect(rejected).toEqual([]);
    expect(backups.map(({ entry: { sequence, verified } }) => [sequence, verified !== null])).toEqual([
      [2, true],
      [1, true],
    ]);
    // Repeated, it does what it was asked for, and the backup of meanwhile counts.
    expect(await evictHostC(host, host.store)).toMatchObject({ keyGeneration: 2, epoch: 3 });
    await restoreInto(context, host, { backup: newer! });
  });

  it.each(['a verification', 'a prune', 'an enrolment'] as const)(
    'comes to nothing once there was %s',
    async (what) => {
      const { host, second, id, letExpire } = await threeHosts();
      const joining = await anotherHost(host, 'host-d');
      const { slow, stood } = standingStill(
        host.store,
        (key) => key === epoch2,
        async () => {
          await letExpire();
          const cluster = await reopen(context, second);
          if (what === 'a verification') await runVerification(makeContext(), cluster, [id], 'manual');
          else if (what === 'a prune') await prune(makeContext(), cluster, settings);
          else await enrol(second, joining);
        },
      );
      expect(await evictHostC(host, slow)).toMatchObject({ code: 'lease-held', exitCode: 13 });
      expect(stood).toEqual([epoch2]);
      const { keyring } = await reopen(context, second);
      expect(keyring.keyGeneration).toBe(1);
      expect((await readCatalog(host.store, keyring)).rejected).toEqual([]);
      const names = keyring.membership.nodes.map(({ name }) => name);
      expect(names.includes('host-d')).toBe(what === 'an enrolment');
    },
  );

  it('counts where it came first: the backup that finds it does nothing', async () => {
    const { host, second, letExpire } = await threeHosts();
    const commit = Promise.withResolvers<void>();
    const committed = Promise.withResolvers<void>();
    let late: Promise<unknown> | undefined;
    const { slow } = standingStill(
      host.store,
      (key) => key === epoch2,
      async () => {
        await letExpire();
        const cluster = await reopen(context, second);
        const store = storeWith(second.store, {
          put: async (key, bytes) => {
            if (key === epoch2) {
              commit.resolve();
              await committed.promise;
            }
            return await second.store.put(key, bytes);
          },
        });
        late = createBackup(makeContext(), { ...cluster, store }, { kind: 'manual' }).catch((error: unknown) => error);
        await commit.promise;
      },
    );
    const evicting = evictHostC(host, slow);
    await commit.promise;
    // It lost the lease, and its commit is there: whoever opens the cluster next finishes it.
    expect(await evicting).toMatchObject({ code: 'lease-held' });
    committed.resolve();
    expect(await late).toMatchObject({ code: 'lease-held', message: expect.stringContaining(epoch2) });
    await letExpire();
    const { keyring } = await tendKeys(context, second, await reopen(context, second));
    expect(keyring).toMatchObject({ keyGeneration: 2, membership: { currentEpoch: 2 } });
    const { backups, rejected } = await readCatalog(host.store, keyring);
    expect([backups.map(({ entry }) => entry.sequence), rejected]).toEqual([[1], []]);
  });
});

describe('a backup that stood still at its commit while another host evicted', () => {
  const isManifest = (key: string): boolean => key.startsWith('backups/');

  async function late(replaced: Partial<ObjectStore> = {}) {
    const { host, second, id, letExpire } = await threeHosts();
    const { slow, stood } = standingStill(host.store, isManifest, async () => {
      await letExpire();
      expect(await evictHostC(second, second.store)).toMatchObject({ keyGeneration: 2 });
    });
    const opened = await reopen(context, host);
    const store = { ...slow, ...replaced };
    const outcome = await createBackup(context, { ...opened, store }, { kind: 'manual' }).catch((e: unknown) => e);
    expect(stood).toHaveLength(1);
    await letExpire();
    const after = await tendKeys(context, host, await openCluster(context, host));
    return { host, id, outcome, after, path: stood[0]! };
  }

  it('takes itself off the list, and everything goes on', async () => {
    const { host, id, outcome, after, path } = await late();
    expect(outcome).toMatchObject({ code: 'lease-held', message: expect.stringContaining('taken off the list') });
    expect(await host.store.head(path)).toBeUndefined();
    const { backups, rejected } = await readCatalog(host.store, after.keyring);
    expect([backups.map(({ entry }) => entry.id), rejected]).toEqual([[id], []]);
    expect((await prune(context, after, settings)).kept.map((kept) => kept.id)).toEqual([id]);
    await after.database.close();
  });

  it('leaves a manifest where it may not delete, or died: prune goes on, and keeps what that one names', async () => {
    const refuses = async (): Promise<never> => {
      throw new EnclaveManagerError('repository-unreachable', 'refused by the test');
    };
    const { host, id, outcome, after, path } = await late({ delete: refuses });
    expect(outcome).toMatchObject({ code: 'lease-held', message: expect.stringContaining('could not be taken off') });
    const { backups, rejected } = await readCatalog(host.store, after.keyring);
    expect(backups.map(({ entry }) => entry.id)).toEqual([id]);
    expect(rejected).toMatchObject([{ path, code: 'forged' }]);

    const chunks = chunkObjects(host);
    const newest = await createBackup(context, after, { kind: 'manual' });
    const notes = makeContext();
    const repository = { store: host.store, keyring: after.keyring, localState: host.localState };
    const preview = await previewPrune(notes, repository, { ...settings, policy: { last: 1 } });
    const result = await prune(notes, after, { ...settings, policy: { last: 1 } });
    for (const each of [preview, result]) {
      expect(each.kept.map((kept) => kept.id)).toEqual([newest.id]);
      expect(each.removed.map((removed) => removed.id)).toEqual([id]);
      // Of the first backup, the late one names all but the audit log, perhaps.
      expect(each.condemned.objects).toBeLessThan(chunks.length);
    }
    expect(notes.notes.filter((note) => note.includes(path))).toHaveLength(2);
    await host.store.delete(path);
    const freed = await prune(context, after, settings);
    expect(freed.condemned.objects).toBeGreaterThan(0);
    await after.database.close();
  });
});

it('a manifest that an evicted host signs later frees nothing that a backup needs, and keeps only what it names', async () => {
  const { host, second, id } = await threeHosts();
  const former = await reopen(context, host);
  const bytes = (await host.store.get(manifestPath(id), { maxBytes: 1_000_000 }))!;
  expect(await evictHostC(second, second.store)).toMatchObject({ keyGeneration: 2 });
  const payload = former.keyring.verify('manifest', bytes) as { summary: object };
  const forgedId = '20261125T000000Z-aaaaaa';
  const summary = { ...payload.summary, id: forgedId };
  await host.store.put(manifestPath(forgedId), former.keyring.sign('manifest', { ...payload, summary }));
  const after = await tendKeys(context, second, await reopen(context, second));
  const result = await prune(context, after, settings);
  expect(result).toMatchObject({ condemned: { objects: 0 }, kept: [{ id }] });
  await restoreInto(context, second, { backup: id });
  // Under another name than it says, it is nothing that the cluster ever wrote.
  await host.store.put(
    manifestPath('20261125T000001Z-aaaaaa'),
    former.keyring.sign('manifest', { ...payload, summary }),
  );
  await expect(prune(context, after, settings)).rejects.toMatchObject({ code: 'forged' });
});
