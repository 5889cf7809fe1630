import { readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { condemnedPath, manifestPath, verificationPath } from '#format/layout.ts';
import { createBackup } from '#operations/create-backup.ts';
import { evictNode } from '#operations/evict-node.ts';
import { planEviction } from '#operations/plan-key-change.ts';
import { readCatalog } from '#operations/read-catalog.ts';
import { rotateKeys } from '#operations/rotate-keys.ts';
import { makeCluster } from '../fixtures/cluster.ts';
import { enrolHosts } from '../fixtures/hosts.ts';
import { manifestFile } from '../fixtures/repository.ts';
import { reopen } from '../fixtures/restoring.ts';
import { signNewer } from '../fixtures/sign-newer.ts';

const id = '20990101T000000Z-aaaaaa';
const places = [
  ['manifest', manifestPath(id)],
  ['verification', verificationPath(id)],
  ['condemned', condemnedPath(id)],
] as const;

async function withBackups(count: number) {
  const { context, host, cluster } = await makeCluster();
  const ids: string[] = [];
  for (let made = 0; made < count; made += 1) ids.push((await createBackup(context, cluster, { kind: 'manual' })).id);
  return { context, host, cluster, ids };
}

describe('new keys', () => {
  it('are refused while a backup that this host has seen is hidden, and lose it only when told to', async () => {
    const { context, host, ids } = await withBackups(2);
    await enrolHosts(host, ['host-b']);
    const [older, newest] = ids as [string, string];
    const elsewhere = join(host.directory, 'hidden.json');
    renameSync(manifestFile(host, newest), elsewhere);
    const cluster = await reopen(context, host);
    const { node } = await planEviction(cluster, 'host-b');
    const refusal = {
      code: 'forged',
      exitCode: 20,
      message: expect.stringContaining('has sequence 1, but sequence 2 existed'),
      hint: expect.stringContaining('--accept-missing-after 1'),
    };
    await expect(rotateKeys(context, host, cluster)).rejects.toMatchObject(refusal);
    await expect(evictNode(context, host, cluster, node)).rejects.toMatchObject(refusal);
    await expect(evictNode(context, host, cluster, node, { atLeastSequence: 2 })).rejects.toMatchObject(refusal);
    expect((await reopen(context, host)).keyring).toMatchObject({ keyGeneration: 1, epochs: [1] });

    await expect(evictNode(context, host, cluster, node, { atLeastSequence: 1 })).rejects.toMatchObject(refusal);
    const change = await evictNode(context, host, cluster, node, { missingAfter: 1 });
    expect(change).toMatchObject({ keyGeneration: 2 });
    renameSync(elsewhere, manifestFile(host, newest));
    const { backups, rejected } = await readCatalog(host.store, (await reopen(context, host)).keyring);
    expect([backups.map(({ entry }) => entry.id), rejected.map(({ path }) => path)]).toEqual([
      [older],
      [manifestPath(newest)],
    ]);
  });

  it.each(places)(
    'are stopped by a %s of a newer version that the cluster signed, which is named',
    async (type, path) => {
      const { context, host, cluster } = await withBackups(1);
      await host.store.put(path, signNewer(cluster.keyring, type, { of: 'a later version' }));
      await expect(rotateKeys(context, host, cluster)).rejects.toMatchObject({
        code: 'version-incompatible',
        exitCode: 22,
        message: expect.stringContaining(path),
      });
      expect((await reopen(context, host)).keyring).toMatchObject({ keyGeneration: 1 });
    },
  );

  it('are not stopped by what anybody can write', async () => {
    const { context, host, cluster } = await withBackups(1);
    const planted = places.map(([type, path]) => {
      const file = JSON.parse(signNewer(cluster.keyring, type, { of: 'nobody' }).toString()) as Record<string, unknown>;
      return { path, bytes: Buffer.from(JSON.stringify({ ...file, payload: '{}' })) };
    });
    planted.push({ path: verificationPath('20990101T000001Z-aaaaaa'), bytes: Buffer.from('{"formatVersion":2}') });
    for (const { path, bytes } of planted) expect(await host.store.put(path, bytes)).toBe('created');
    expect(await rotateKeys(context, host, cluster)).toMatchObject({ keyGeneration: 2 });
    for (const { path } of planted) {
      expect(context.notes.filter((note) => note.startsWith(`${path} does not count with the new keys`))).toHaveLength(
        1,
      );
    }
  });
});

describe('a backup', () => {
  it.each(places)('is not made beside a %s of a newer version that the cluster signed', async (type, path) => {
    const { context, host, cluster, ids } = await withBackups(1);
    const bytes = signNewer(cluster.keyring, type, { of: 'a later version' });
    await host.store.put(path, bytes);
    await expect(createBackup(context, cluster, { kind: 'manual' })).rejects.toMatchObject({
      code: 'version-incompatible',
      exitCode: 22,
      message: expect.stringContaining(path),
    });
    const { backups } = await readCatalog(host.store, cluster.keyring);
    expect(backups.map(({ entry }) => entry.id)).toEqual(ids);
    expect(readFileSync(`${host.directory}/backups/${path}`).equals(bytes)).toBe(true);
  });

  it('is made beside what only says that it is newer', async () => {
    const { context, host, cluster } = await withBackups(1);
    for (const [, path] of places) await host.store.put(path, Buffer.from('{"formatVersion":2}'));
    expect(await createBackup(context, cluster, { kind: 'manual' })).toMatchObject({ sequence: 2 });
  });

  it('can be made after one to which an enrolled host gave the last number that there is', async () => {
    const { context, host, cluster, ids } = await withBackups(1);
    const bytes = (await host.store.get(manifestPath(ids[0]!), { maxBytes: 1_000_000 }))!;
    const payload = cluster.keyring.verify('manifest', bytes) as { summary: object };
    const summary = { ...payload.summary, id, sequence: Number.MAX_SAFE_INTEGER };
    await host.store.put(manifestPath(id), cluster.keyring.sign('manifest', { ...payload, summary }));

    const next = await createBackup(context, cluster, { kind: 'manual' });
    expect(next.sequence).toBe(2);
    const { backups, rejected, highestSequence } = await readCatalog(host.store, cluster.keyring);
    expect([backups.map(({ entry }) => entry.id), highestSequence]).toEqual([[next.id, ids[0]], 2]);
    expect(rejected).toMatchObject([{ path: manifestPath(id), code: 'forged' }]);
  });
});
