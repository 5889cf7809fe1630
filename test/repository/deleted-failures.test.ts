import { mkdtempSync, readdirSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { openFailureMemory } from '#adapters/data-directory/failure-memory.ts';
import { createBackup } from '#operations/create-backup.ts';
import { readCatalog } from '#operations/read-catalog.ts';
import { readStatus } from '#operations/read-status.ts';
import { recallCatalog } from '#operations/recall-catalog.ts';
import { verifyBackups } from '#operations/verify-backup.ts';
import { openCatalogCache } from '#adapters/data-directory/catalog-cache.ts';
import { makeCluster } from '../fixtures/cluster.ts';
import { damage, objectFile, objectsOfTable, storeWith } from '../fixtures/repository.ts';
import { addUsers } from '../fixtures/rows.ts';
import { unscheduled } from '../fixtures/status-settings.ts';

vi.setConfig({ testTimeout: 120_000 });

/** A backup with a damaged object, and a host that remembers failures as the program does. */
async function damagedBackup() {
  const made = await makeCluster();
  const { host, context, cluster } = made;
  Object.assign(host.store, { failures: openFailureMemory(host.directory) });
  await addUsers(cluster.database, 50);
  const backup = await createBackup(context, cluster, { kind: 'manual' });
  const objects = await objectsOfTable(host, cluster.keyring, backup.id, 'users');
  const repository = { store: host.store, keyring: cluster.keyring };
  const verifiedBy = async (store = host.store) =>
    (await readCatalog(store, cluster.keyring)).backups.find(({ entry }) => entry.id === backup.id)?.entry.verified;
  const verifications = () => readdirSync(objectFile(host, 'verifications'));
  const before = new Set(verifications());
  /** Leaves what the backup itself recorded. */
  const deleteNewer = (): number => {
    const newer = verifications().filter((name) => !before.has(name));
    for (const name of newer) rmSync(objectFile(host, `verifications/${name}`));
    return newer.length;
  };
  /** Gives what was recorded since another time, as whoever writes the directory may; resolves with what had which. */
  const touchNewer = (time: Date): Map<string, number> => {
    const newer = verifications().filter((name) => !before.has(name));
    const files = newer.map((name) => objectFile(host, `verifications/${name}`));
    const times = new Map(files.map((file) => [file, statSync(file).mtimeMs]));
    for (const file of files) utimesSync(file, time, time);
    return times;
  };
  damage(host, 'bit-flipped', objects);
  return { ...made, backup, objects, repository, verifiedBy, deleteNewer, touchNewer };
}

describe('a failed verification that is deleted from the repository', () => {
  it('counts on for the host that recorded it, until a newer one of the backup is good', async () => {
    const { host, context, cluster, backup, objects, repository, verifiedBy, deleteNewer } = await damagedBackup();
    expect((await verifyBackups(context, repository, [backup.id])).failed).toEqual([backup.id]);
    expect(deleteNewer()).toBe(1);

    expect(await verifiedBy()).toBeNull();
    const cache = openCatalogCache(host.directory);
    for (const _ of ['read', 'recalled']) {
      const { backups } = await recallCatalog(host.store, cluster.keyring, cache);
      expect(backups[0]!.entry.verified).toBeNull();
    }
    // Who has never seen it is shown the older, good one: this host's memory is all that tells.
    expect(await verifiedBy(storeWith(host.store, {}))).toMatchObject({ level: 'new-chunks' });

    const next = await createBackup(context, cluster, { kind: 'manual' });
    expect(next.newChunks).toBeGreaterThan(0);
    expect(next.verified).not.toBeNull();
    expect((await objectsOfTable(host, cluster.keyring, next.id, 'users'))[0]).not.toBe(objects[0]);
    expect((await verifyBackups(context, repository, [backup.id, next.id])).failed).toEqual([]);
    expect(await verifiedBy()).toMatchObject({ level: 'all-chunks' });
  });

  it('counts on for a host that has only read it, and also where something else lies in its place', async () => {
    const { host, context, cluster, backup, repository, verifiedBy, deleteNewer } = await damagedBackup();
    const directory = mkdtempSync(join(tmpdir(), 'enclave-manager-reader-'));
    onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
    const reader = storeWith(host.store, { failures: openFailureMemory(directory) });
    await verifyBackups(context, repository, [backup.id]);
    expect(await verifiedBy(reader)).toBeNull();
    const [seen] = await reader.failures!.read();
    expect(seen).toMatchObject({ backups: [backup.id], passed: false, location: host.store.location });

    expect(deleteNewer()).toBe(1);
    expect(await verifiedBy(reader)).toBeNull();
    writeFileSync(objectFile(host, seen!.path), '{}');
    expect(await verifiedBy(reader)).toBeNull();
    const { rejected, badObjects, verifications } = await readCatalog(reader, cluster.keyring);
    expect(rejected.map(({ path }) => path)).toEqual([seen!.path]);
    expect([...badObjects]).toEqual(seen!.bad);
    // Prune deletes what lies there, not what is only remembered.
    expect(verifications.map(({ path }) => path)).not.toContain(seen!.path);
  });
});

describe('a failed verification that is dated back in a directory', () => {
  it('counts on with the time at which the host recorded it, until a newer one of the backup is good', async () => {
    const { host, context, cluster, backup, repository, verifiedBy, touchNewer } = await damagedBackup();
    expect((await verifyBackups(context, repository, [backup.id])).failed).toEqual([backup.id]);
    const past = new Date('2026-01-01T00:00:00Z');
    const [[file, recordedMs] = ['', 0], ...others] = touchNewer(past);
    expect([others, recordedMs > past.getTime(), statSync(file).mtime]).toEqual([[], true, past]);

    expect(await verifiedBy()).toBeNull();
    const status = await readStatus(context, cluster, unscheduled);
    expect([status.healthy, status.findings.map(({ code }) => code)]).toEqual([
      false,
      expect.arrayContaining(['backup-not-verified']),
    ]);
    const cache = openCatalogCache(host.directory);
    for (const _ of ['read', 'recalled'])
      expect((await recallCatalog(host.store, cluster.keyring, cache)).backups[0]!.entry.verified).toBeNull();
    // Who has never seen it at its time is shown the older, good one.
    expect(await verifiedBy(storeWith(host.store, {}))).toMatchObject({ level: 'new-chunks' });

    await createBackup(context, cluster, { kind: 'manual' });
    expect((await verifyBackups(context, repository, [backup.id])).failed).toEqual([]);
    expect(await verifiedBy()).toMatchObject({ level: 'all-chunks' });
  });
});

describe('a failed verification that the store dates in the future', () => {
  it('is remembered as of now: with its date put right, what is read since is good again', async () => {
    const { host, context, cluster, backup, repository, verifiedBy, touchNewer } = await damagedBackup();
    const directory = mkdtempSync(join(tmpdir(), 'enclave-manager-reader-'));
    onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
    const reader = storeWith(host.store, { failures: openFailureMemory(directory) });
    await verifyBackups(context, repository, [backup.id]);
    const times = touchNewer(new Date('2099-01-01T00:00:00Z'));
    expect(times.size).toBe(1);
    expect((await readCatalog(reader, cluster.keyring, new Date())).backups[0]!.entry.verified).toBeNull();
    expect(await reader.failures!.read()).toHaveLength(1);

    for (const [file, time] of times) utimesSync(file, new Date(time), new Date(time));
    await createBackup(context, cluster, { kind: 'manual' });
    expect((await verifyBackups(context, repository, [backup.id])).failed).toEqual([]);
    expect(await verifiedBy(reader)).toMatchObject({ level: 'all-chunks' });
  });
});
