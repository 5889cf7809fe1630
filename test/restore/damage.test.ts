import { copyFileSync, readFileSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { fileFailure } from '#adapters/filesystem/failures.ts';
import { createBackup } from '#operations/create-backup.ts';
import { readCatalog } from '#operations/read-catalog.ts';
import { restore } from '#operations/restore.ts';
import { refuseLost, verifyBackups } from '#operations/verify-backup.ts';
import { stagingPrefix } from '#model/restore-names.ts';
import { makeCluster, type TestCluster } from '../fixtures/cluster.ts';
import { dumpDatabase } from '../fixtures/dump.ts';
import { makeContext } from '../fixtures/host.ts';
import {
  damage,
  damages,
  flipBit,
  listedBackups,
  manifestFile,
  objectFile,
  objectsOfTable,
  storeWith,
} from '../fixtures/repository.ts';
import { confirmed, restoreInto } from '../fixtures/restoring.ts';
import { addAuditEvents, addSettings, addUsers } from '../fixtures/rows.ts';
import { workersBefore } from '../fixtures/workers.ts';

/** A cluster with rows, its backup, and rows written since. */
async function backedUpCluster() {
  const made = await makeCluster();
  const { context, cluster, host } = made;
  await addSettings(cluster.database, 200);
  await addAuditEvents(cluster.database, 50);
  const backup = await createBackup(context, cluster, { kind: 'manual' });
  const backedUp = await dumpDatabase(cluster.database);
  await addUsers(cluster.database, 5);
  const [settings] = await objectsOfTable(host, cluster.keyring, backup.id, 'settings');
  const [audit] = await objectsOfTable(host, cluster.keyring, backup.id, 'audit_events');
  return { ...made, backup, backedUp, objects: [settings!, audit!] as const };
}

async function expectUntouched({ host, cluster }: TestCluster, live: Awaited<ReturnType<typeof dumpDatabase>>) {
  expect(await dumpDatabase(cluster.database)).toEqual(live);
  expect(await host.server.databaseNames(stagingPrefix(host.server.liveName))).toEqual([]);
}

describe.each(damages)('a %s chunk', (kind) => {
  it('is reported by verify, refused by restore, and repaired by the next backup', async () => {
    const made = await backedUpCluster();
    const { context, host, cluster, backup, backedUp, objects } = made;
    const live = await dumpDatabase(cluster.database);
    damage(host, kind, objects);

    const verified = await verifyBackups(context, { store: host.store, keyring: cluster.keyring }, [backup.id]);
    const bad = verified.bad.map(({ name }) => name).toSorted();
    expect(bad).toEqual(kind === 'swapped' ? objects.toSorted() : [objects[0]]);
    expect(verified.failed).toEqual([backup.id]);
    expect(() => refuseLost(verified)).toThrow(expect.objectContaining({ code: 'damaged', exitCode: 20 }) as Error);
    expect(() => refuseLost(verified)).toThrow(verified.bad[0]!.name);
    expect((await readCatalog(host.store, cluster.keyring)).backups[0]?.entry.verified).toBeNull();

    const refused = restore(context, host, confirmed);
    await expect(refused).rejects.toMatchObject({ code: 'damaged', exitCode: 20 });
    await expectUntouched(made, live);
    // Not even a safety backup was begun.
    expect(await listedBackups(host, cluster.keyring)).toEqual([backup.id]);

    const healing = makeContext();
    const next = await createBackup(healing, cluster, { kind: 'manual' });
    expect(healing.notes.filter((note) => note.startsWith('repaired: '))).toHaveLength(bad.length);
    for (const name of bad) expect(healing.notes.join('\n')).toContain(name);
    expect(next.verified).toMatchObject({ level: 'new-chunks' });

    const restoring = makeContext();
    const restored = await restoreInto(restoring, host, { backup: backup.id });
    expect(await dumpDatabase(restored.database)).toEqual(backedUp);
    for (const name of bad) expect(restoring.notes.join('\n')).toContain(name);
  });

  it('that nobody has noticed yet fails the restore, leaves the live database untouched, and is repaired then', async () => {
    const made = await backedUpCluster();
    const { context, host, cluster, backup, objects } = made;
    const live = await dumpDatabase(cluster.database);
    damage(host, kind, objects);
    expect((await readCatalog(host.store, cluster.keyring)).backups[0]?.entry.verified).not.toBeNull();

    // Without a safety backup: it would notice what is missing, and repair it.
    await expect(restore(context, host, { ...confirmed, safetyBackup: false })).rejects.toMatchObject({
      code: 'damaged',
      exitCode: 20,
    });

    await expectUntouched(made, live);
    const healing = makeContext();
    await createBackup(healing, cluster, { kind: 'manual' });
    expect(healing.notes.join('\n')).toContain(`repaired: ${objects[0]}`);
    expect((await verifyBackups(context, { store: host.store, keyring: cluster.keyring }, [backup.id])).failed).toEqual(
      [],
    );
  });
});

describe('a chunk that is damaged while a verification runs', () => {
  it('is not vouched for by it: it counts from when the reading began', async () => {
    const { context, host, cluster, backup, objects } = await backedUpCluster();
    const repository = { store: host.store, keyring: cluster.keyring };
    const verifiedOf = async () => (await readCatalog(host.store, cluster.keyring)).backups[0]!.entry.verified;
    const kinds: string[] = [];
    // Of two hosts that read at once, the slower has read the chunk before it was damaged and ends after the other.
    const startWorker = workersBefore(async ({ kind }) => {
      kinds.push(kind);
      damage(host, 'bit-flipped', objects);
      expect((await verifyBackups(context, repository, [backup.id])).failed).toEqual([backup.id]);
      expect(await verifiedOf()).toBeNull();
    });
    const begun = new Date();

    const slower = await verifyBackups(makeContext({ startWorker }), repository, [backup.id]);

    expect(kinds).toEqual(['check-chunks']);
    expect(slower).toMatchObject({ failed: [], bad: [] });
    expect(Date.parse(slower.at) - begun.getTime()).toBeGreaterThanOrEqual(0);
    expect(await verifiedOf()).toBeNull();
    const own = (await readCatalog(host.store, cluster.keyring)).verifications.find(({ at }) => at === slower.at);
    expect(own).toMatchObject({ level: 'all-chunks', passed: true });
  });
});

describe('a damaged manifest', () => {
  it('is not listed and refused by name, the others stay', async () => {
    const { context, host, cluster } = await makeCluster();
    const ids: string[] = [];
    for (let count = 0; count < 6; count += 1) ids.push((await createBackup(context, cluster, { kind: 'manual' })).id);
    const [good, edited, truncated, renamed, newer, foreign] = ids as [string, string, string, string, string, string];
    const other = await makeCluster();
    const { id: otherId } = await createBackup(other.context, other.cluster, { kind: 'manual' });
    edit(manifestFile(host, edited), '\\"kind\\":\\"manual\\"', '\\"kind\\":\\"safety\\"');
    truncateSync(manifestFile(host, truncated), 1000);
    const elsewhere = '20260101T000000Z-aaaaaa';
    renameSync(manifestFile(host, renamed), manifestFile(host, elsewhere));
    edit(manifestFile(host, newer), '"formatVersion":1', '"formatVersion":2');
    copyFileSync(manifestFile(other.host, otherId), manifestFile(host, otherId));
    rmSync(manifestFile(host, foreign));
    writeFileSync(objectFile(host, 'backups/readme.txt'), 'not a backup');

    const catalog = await readCatalog(host.store, cluster.keyring);

    expect(catalog.backups.map(({ entry }) => entry.id)).toEqual([good]);
    const codes = Object.fromEntries(catalog.rejected.map(({ path, code }) => [path, code]));
    expect(codes).toEqual({
      [`backups/${edited}.json`]: 'forged',
      [`backups/${truncated}.json`]: 'damaged',
      [`backups/${elsewhere}.json`]: 'forged',
      [`backups/${newer}.json`]: 'version-incompatible',
      [`backups/${otherId}.json`]: 'forged',
      'backups/readme.txt': 'forged',
    });
    const trust = { confirmed: true, missingAfter: 1 };
    for (const [id, exitCode] of [
      [edited, 20],
      [truncated, 20],
      [elsewhere, 20],
      [newer, 22],
      [otherId, 20],
      [foreign, 3],
    ] as const) {
      await expect(restore(context, host, { ...confirmed, trust, backup: id })).rejects.toMatchObject({ exitCode });
    }
    const restored = await restoreInto(context, host, { trust, backup: good });
    expect(await dumpDatabase(restored.database)).toEqual(await dumpDatabase(cluster.database));
  });
});

describe('a manifest that this user may not read', () => {
  it('is passed over and said, and no backup is taken that might get its sequence', async () => {
    const { context, host, cluster, backup } = await backedUpCluster();
    const second = await createBackup(context, cluster, { kind: 'manual' });
    const key = `backups/${second.id}.json`;
    // Root may read everything, so the refusal of the system is the store's own here.
    const store = storeWith(host.store, {
      get: async (...parameters) => {
        if (parameters[0] !== key) return await host.store.get(...parameters);
        throw fileFailure('read', key, Object.assign(new Error('permission denied'), { code: 'EACCES' }));
      },
    });

    const catalog = await readCatalog(store, cluster.keyring);

    expect(catalog.backups.map(({ entry }) => entry.id)).toEqual([backup.id]);
    expect(catalog.rejected).toEqual([
      { path: key, code: 'configuration', reason: `this user may not read ${key} (EACCES)` },
    ]);
    await expect(createBackup(context, { ...cluster, store }, { kind: 'manual' })).rejects.toMatchObject({
      code: 'configuration',
      exitCode: 10,
      message: expect.stringContaining(key),
    });
    expect(await listedBackups(host, cluster.keyring)).toEqual([second.id, backup.id]);
  });
});

describe('a damaged keyring/', () => {
  it.each(['deleted', 'overwritten', 'one slot missing', 'one slot overwritten'] as const)(
    'is made up for by the copies in the manifests: %s',
    async (kind) => {
      const { context, host, cluster } = await makeCluster();
      await createBackup(context, cluster, { kind: 'manual' });
      const paths = cluster.keyring.documents.map(({ path }) => path);
      const slot = paths.find((path) => /epochs\/1\/.+\..+\.json$/.test(path) && !path.endsWith('epoch.json'))!;
      if (kind === 'deleted') rmSync(objectFile(host, 'keyring'), { recursive: true });
      if (kind === 'overwritten') for (const path of paths) overwrite(objectFile(host, path), '{}');
      if (kind === 'one slot missing') rmSync(objectFile(host, slot));
      if (kind === 'one slot overwritten') flipBit(objectFile(host, slot));

      const restored = await restoreInto(context, host);

      expect(await dumpDatabase(restored.database)).toEqual(await dumpDatabase(cluster.database));
      expect(restored.keyring.documents.map(({ path }) => path)).toEqual(paths);
    },
  );
});

describe('the owner marker', () => {
  it('of another cluster stops backup and restore', async () => {
    const { context, host, cluster } = await makeCluster();
    await createBackup(context, cluster, { kind: 'manual' });
    const other = await makeCluster();
    rmSync(objectFile(host, 'enclave-manager.json'));
    copyFileSync(objectFile(other.host, 'enclave-manager.json'), objectFile(host, 'enclave-manager.json'));

    const refusal = {
      code: 'repository-foreign',
      exitCode: 12,
      message: expect.stringContaining(other.cluster.keyring.clusterId),
    };
    await expect(createBackup(context, cluster, { kind: 'manual' })).rejects.toMatchObject(refusal);
    await expect(restore(context, host, confirmed)).rejects.toMatchObject(refusal);
    expect(await listedBackups(host, cluster.keyring)).toHaveLength(1);
  });

  it('of a newer format stops backup and restore', async () => {
    const { context, host, cluster } = await makeCluster();
    await createBackup(context, cluster, { kind: 'manual' });
    edit(objectFile(host, 'enclave-manager.json'), '"formatVersion":1', '"formatVersion":2');

    const refusal = { code: 'version-incompatible', exitCode: 22 };
    await expect(createBackup(context, cluster, { kind: 'manual' })).rejects.toMatchObject(refusal);
    await expect(restore(context, host, confirmed)).rejects.toMatchObject(refusal);
  });

  it.each(['missing', 'damaged'])('may be %s for a restore, not for a backup', async (kind) => {
    const { context, host, cluster } = await makeCluster();
    await createBackup(context, cluster, { kind: 'manual' });
    if (kind === 'missing') rmSync(objectFile(host, 'enclave-manager.json'));
    else overwrite(objectFile(host, 'enclave-manager.json'), '{');

    await expect(createBackup(context, cluster, { kind: 'manual' })).rejects.toMatchObject({
      code: 'damaged',
      exitCode: 20,
    });
    const restored = await restoreInto(context, host);
    expect(await dumpDatabase(restored.database)).toEqual(await dumpDatabase(cluster.database));
  });
});

describe('an empty repository', () => {
  it('has no backup to restore', async () => {
    const { context, host } = await makeCluster();

    await expect(restore(context, host, confirmed)).rejects.toMatchObject({ code: 'not-found', exitCode: 3 });
    await expect(restore(context, host, { ...confirmed, backup: '20260101T000000Z-aaaaaa' })).rejects.toMatchObject({
      code: 'not-found',
    });
  });
});

function edit(file: string, from: string, to: string): void {
  const text = readFileSync(file, 'utf8');
  expect(text).toContain(from);
  overwrite(file, text.replace(from, to));
}

function overwrite(file: string, text: string): void {
  rmSync(file);
  writeFileSync(file, text);
}
