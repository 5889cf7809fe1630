import { renameSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { createBackup } from '#operations/create-backup.ts';
import { evictNode } from '#operations/evict-node.ts';
import { openRepository } from '#operations/open-repository.ts';
import { planRotation } from '#operations/plan-key-change.ts';
import { planRestore } from '#operations/plan-restore.ts';
import { previewPrune } from '#operations/prune.ts';
import { readCatalog } from '#operations/read-catalog.ts';
import { readNodeProofTimes, readOpenability } from '#operations/read-openability.ts';
import { readStatus } from '#operations/read-status.ts';
import { restore } from '#operations/restore.ts';
import { rotateKeys } from '#operations/rotate-keys.ts';
import { seeCatalog } from '#operations/see-catalog.ts';
import { forgetAbandonedHolders } from '#store/abandoned-holders.ts';
import { makeCluster } from '../fixtures/cluster.ts';
import { runCommand, startCommand } from '../fixtures/command.ts';
import { commandOn } from '../fixtures/host-command.ts';
import { makeContext, type TestHost } from '../fixtures/host.ts';
import { enrolHosts, withCluster } from '../fixtures/hosts.ts';
import { manifestFile, storeWith } from '../fixtures/repository.ts';
import { confirmed } from '../fixtures/restoring.ts';
import { unscheduled } from '../fixtures/status-settings.ts';

vi.setConfig({ testTimeout: 300_000 });

const context = makeContext();
const retention = { policy: { last: 3 }, graceMs: 86_400_000 };

const backUp = async (host: TestHost): Promise<string> =>
  (await withCluster(host, (cluster) => createBackup(context, cluster, { kind: 'manual' }))).id;

const highestSeen = async (host: TestHost): Promise<number | undefined> =>
  (await host.localState.read())?.highestSequence;

const statusOf = (host: TestHost) => withCluster(host, (cluster) => readStatus(context, cluster, unscheduled));

/** Two hosts; all the backups are the first one's. */
async function twoHosts() {
  const { host } = await makeCluster();
  const [second] = (await enrolHosts(host, ['host-b'])) as [TestHost];
  const ids = [await backUp(host), await backUp(host)];
  return { host, second, ids };
}

const looks: Readonly<Record<string, (host: TestHost) => Promise<unknown>>> = {
  status: statusOf,
  openability: (host) => withCluster(host, (cluster) => readOpenability(context, cluster, undefined)),
  'the list of hosts': (host) => withCluster(host, (cluster) => readNodeProofTimes(context, cluster)),
  'the plan of a rotation': (host) => withCluster(host, planRotation),
  'the preview of a prune': (host) =>
    withCluster(host, (cluster) => previewPrune(context, { ...cluster, store: host.store }, retention)),
  'the plan of a restore': (host) => planRestore({ ...host, server: undefined }, 'latest'),
};

describe('a host that never took a backup', () => {
  it('knows of those that it was shown by whatever looked, and writes that down once', async () => {
    const { second, ids } = await twoHosts();
    for (const [name, look] of Object.entries(looks)) {
      await second.localState.update((before) => ({ ...before!, highestSequence: 0 }));
      await look(second);
      expect([name, await highestSeen(second)]).toEqual([name, ids.length]);
    }
    const { ino } = statSync(join(second.directory, 'state/node.json'));
    for (const look of Object.values(looks)) await look(second);
    expect(statSync(join(second.directory, 'state/node.json')).ino).toBe(ino);
  });

  it('refuses what is left once the newest are deleted: serving, by commands, and with keys that would disown them', async () => {
    const { host, second, ids } = await twoHosts();
    const options = await commandOn(second);
    const env = { ...options.env, ENCLAVE_MANAGER_BACKUP_SCHEDULE: '0 0 1 1 *' };
    const serve = startCommand(['serve'], { ...options, env });
    await serve.saw(/it is up at (http:\S+)[^]*Stop with Ctrl-C/);
    serve.child.kill('SIGTERM');
    expect((await serve.ended).exitCode).toBe(0);
    expect(await highestSeen(second)).toBe(2);
    // A list by what is remembered of the catalogue counts as well.
    ids.push(await backUp(host));
    for (const _ of ['read', 'recalled'])
      expect(await runCommand(['backup', 'list'], options)).toMatchObject({ exitCode: 0 });
    expect(await highestSeen(second)).toBe(3);

    const elsewhere = (id: string): string => join(host.directory, `hidden-${id}.json`);
    for (const id of ids.slice(1)) renameSync(manifestFile(host, id), elsewhere(id));

    const hidden = /sequence 1, but sequence 3 existed: newer backups were deleted or hidden/;
    const restored = await runCommand(['restore', 'run', 'latest', '--yes'], options);
    expect(restored).toMatchObject({ exitCode: 20, stderr: expect.stringMatching(hidden) });
    const status = await statusOf(second);
    expect(status.healthy).toBe(false);
    expect(status.findings[0]).toMatchObject({
      code: 'backups-hidden',
      hint: expect.stringContaining('backup create'),
    });
    const refusal = { code: 'forged', message: expect.stringMatching(hidden) };
    await expect(looks['the preview of a prune']!(second)).rejects.toMatchObject(refusal);
    await withCluster(second, async (cluster) => {
      await expect(rotateKeys(context, second, cluster)).rejects.toMatchObject(refusal);
      const [node] = cluster.keyring.membership.nodes;
      await expect(evictNode(context, second, cluster, node!)).rejects.toMatchObject(refusal);
    });

    for (const id of ids.slice(1)) renameSync(elsewhere(id), manifestFile(host, id));
    const { backups, rejected } = await withCluster(second, ({ keyring }) => readCatalog(second.store, keyring));
    expect([backups.map(({ entry }) => entry.sequence), rejected]).toEqual([[3, 2, 1], []]);
    expect((await statusOf(second)).findings.map(({ code }) => code)).not.toContain('backups-hidden');
  });

  it('goes on where nothing can be written down', async () => {
    const { second } = await twoHosts();
    const lock = join(second.directory, 'state/node.lock');
    writeFileSync(lock, 'no lock file'.repeat(100));
    await expect(second.localState.update((before) => ({ ...before!, highestSequence: 9 }))).rejects.toMatchObject({
      code: 'configuration',
    });
    const { healthy, lastBackup } = await statusOf(second);
    expect([healthy, lastBackup?.sequence, await highestSeen(second)]).toEqual([true, 2, 0]);
  });

  it('takes no mark from keys that it does not trust yet, and then those of the database', async () => {
    const { host, second } = await twoHosts();
    // It was off meanwhile: to it, an evicted host could have made these keys.
    await withCluster(host, (cluster) => rotateKeys(context, host, cluster));
    await backUp(host);
    const { keyring } = await openRepository(second.store, second.sealing);
    const { catalog } = await seeCatalog({ ...second, keyring }, () => readCatalog(second.store, keyring));
    expect([catalog.highestSequence, await highestSeen(second)]).toEqual([3, 0]);
    await looks['the plan of a restore']!(second);
    expect(await highestSeen(second)).toBe(0);

    await statusOf(second);
    expect(await highestSeen(second)).toBe(3);
  });
});

describe('a backup that was listed for a moment and took itself off the list', () => {
  it('is missed by a host that saw it, which says the ways out, and the next backup of any host ends that', async () => {
    const { host, second } = await twoHosts();
    const shown: unknown[] = [];
    await withCluster(host, async (cluster) => {
      const store = storeWith(host.store, {
        put: async (key, bytes) => {
          const result = await host.store.put(key, bytes);
          if (key.startsWith('backups/')) {
            shown.push((await statusOf(second)).highestSequence);
            // What time does to the lease of who stands still.
            await forgetAbandonedHolders(cluster.database.queries);
          }
          return result;
        },
      });
      const withdrawn = createBackup(context, { ...cluster, store }, { kind: 'manual' });
      await expect(withdrawn).rejects.toMatchObject({
        code: 'lease-held',
        message: expect.stringContaining('taken off the list'),
      });
    });
    expect([shown, await highestSeen(host), await highestSeen(second)]).toEqual([[3], 2, 3]);

    const hidden = { code: 'forged', message: expect.stringContaining('sequence 2, but sequence 3 existed') };
    const run = (missingAfter?: number) =>
      restore(context, second, {
        ...confirmed,
        backup: 'latest',
        safetyBackup: false,
        trust: { ...confirmed.trust, ...(missingAfter === undefined ? {} : { missingAfter }) },
      });
    await expect(run()).rejects.toMatchObject({ ...hidden, hint: expect.stringContaining('--accept-missing-after 2') });
    await expect(withCluster(second, (cluster) => rotateKeys(context, second, cluster))).rejects.toMatchObject(hidden);
    expect((await statusOf(second)).findings[0]).toMatchObject({ code: 'backups-hidden' });
    expect(await run(2)).toMatchObject({ sequence: 2 });

    // Of the host that did not see it, which gives the number again.
    await backUp(host);
    const status = await statusOf(second);
    expect([status.healthy, status.highestSequence]).toEqual([true, 3]);
    await withCluster(second, (cluster) => rotateKeys(context, second, cluster));
  });
});
