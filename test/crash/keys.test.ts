import { describe, expect, it, vi } from 'vitest';
import { forgetAbandonedHolders } from '#store/abandoned-holders.ts';
import { listNodes } from '#store/nodes.ts';
import { readSetting, saveSetting } from '#store/settings.ts';
import { createBackup } from '#operations/create-backup.ts';
import { evictNode } from '#operations/evict-node.ts';
import { openCluster } from '#operations/open-cluster.ts';
import { planEviction } from '#operations/plan-key-change.ts';
import { readCatalog } from '#operations/read-catalog.ts';
import { rotateKeys } from '#operations/rotate-keys.ts';
import { tendKeys } from '#operations/tend-keys.ts';
import { makeCluster } from '../fixtures/cluster.ts';
import { makeContext, type TestHost } from '../fixtures/host.ts';
import { commandOn } from '../fixtures/host-command.ts';
import { enrolHosts } from '../fixtures/hosts.ts';
import { reopen, restoreInto } from '../fixtures/restoring.ts';
import { crash, crashTestMs, pointsOf, reached } from './crashing.ts';

vi.setConfig({ testTimeout: crashTestMs, hookTimeout: crashTestMs });

const context = makeContext();
const secret = Buffer.from('a secret setting');

/** Three hosts, a secret in the database, a backup. */
async function prepared() {
  const { host, cluster } = await makeCluster();
  const [second, third] = (await enrolHosts(host, ['host-b', 'host-c'])) as [TestHost, TestHost];
  const opened = await reopen(context, host);
  await saveSetting(cluster.database.queries, opened.keyring, { name: 'smtp', value: null, secret }, context);
  const { id } = await createBackup(context, opened, { kind: 'manual' });
  return { host, second, third, cluster, id };
}

async function crashOn(host: TestHost, args: readonly string[], point: Parameters<typeof crash>[2]): Promise<void> {
  await crash(args, await commandOn(host), point);
  // What the killed process held would expire; nobody needs to wait for that here.
  const database = host.server.open(host.server.liveName);
  await forgetAbandonedHolders(database.queries);
  await database.close();
}

describe('a process killed while it changes the keys', () => {
  it.each(pointsOf('advance-keys'))(
    'at %s: another host finishes the eviction, and the same one a rotation',
    async (point) => {
      const { host, second, third, cluster, id } = await prepared();
      await crashOn(host, ['node', 'evict', 'host-c', '--yes'], point);

      const committed = reached(point, 'advance-keys.epoch-written');
      const found = await openCluster(context, second);
      expect(found.keyring.newestEpoch).toBe(committed ? 2 : 1);
      const tended = await tendKeys(context, second, found);
      expect(tended.keyring.membership.nodes.map(({ name }) => name)).toEqual(
        committed ? ['host-a', 'host-b'] : ['host-a', 'host-b', 'host-c'],
      );
      const { node } = await planEviction(tended, 'host-c');
      const change = await evictNode(context, second, tended, node);
      expect(change).toMatchObject({ keyGeneration: 2, epoch: committed ? 2 : 3, waitingFor: [{ name: 'host-a' }] });
      await found.database.close();
      await expect(openCluster(context, third)).rejects.toMatchObject({ code: 'not-permitted' });

      await crashOn(host, ['keys', 'rotate', '--yes'], point);
      const rotated = await rotateKeys(context, host, await reopen(context, host));
      // Where only the answer was missing, repeating it is another rotation.
      const keyGeneration = reached(point, 'advance-keys.settled') ? 4 : 3;
      expect(rotated).toMatchObject({ keyGeneration, waitingFor: [{ name: 'host-b' }] });
      const after = await tendKeys(context, second, await reopen(context, second));
      expect(after.keyring).toMatchObject({ keyGeneration, sealedGeneration: keyGeneration });
      expect(after.keyring.membership.nodes.map(({ name }) => name)).toEqual(['host-a', 'host-b']);

      await createBackup(context, after, { kind: 'manual' });
      const catalog = await readCatalog(host.store, after.keyring);
      expect(catalog.rejected).toEqual([]);
      expect(catalog.backups.map(({ entry }) => [entry.authentic, entry.verified !== null])).toEqual([
        [true, true],
        [true, true],
      ]);
      expect((await listNodes(cluster.database.queries)).map(({ status }) => status)).toEqual([
        'PROVISIONED',
        'PROVISIONED',
        'DEACTIVATED',
      ]);
      const restored = await restoreInto(context, host, { backup: id });
      expect((await readSetting(restored.database.queries, restored.keyring, 'smtp'))?.secret).toEqual(secret);
    },
  );
});

describe('a process killed while it seals its credential anew', () => {
  it.each(pointsOf('reseal'))('at %s: the host works on, and finishes it', async (point) => {
    const { host, second } = await prepared();
    await rotateKeys(context, host, await reopen(context, host));
    await crashOn(second, ['keys', 'status'], point);

    await createBackup(context, await reopen(context, host), { kind: 'manual' });
    const found = await reopen(context, second);
    expect(found.keyring.sealedGeneration).toBe(reached(point, 'reseal.recorded') ? 2 : 1);
    const tended = await tendKeys(context, second, found);
    expect(tended.keyring).toMatchObject({ sealedGeneration: 2, isMember: true });
    await createBackup(context, tended, { kind: 'manual' });
    expect((await readCatalog(host.store, tended.keyring)).rejected).toEqual([]);
    const bytesAt = async (path: string) => await host.store.get(path, { maxBytes: 1024 * 1024 });
    for (const { path, bytes } of tended.keyring.documents) expect(await bytesAt(path), path).toEqual(bytes);
  });
});
