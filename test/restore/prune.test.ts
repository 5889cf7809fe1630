import { readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { sql } from 'kysely';
import { describe, expect, it } from 'vitest';
import { systemClock } from '#adapters/system/clock.ts';
import type { BackupKind } from '#model/backup.ts';
import type { CrashPoint } from '#model/crash-point.ts';
import type { RetentionPolicy } from '#model/retention.ts';
import { createBackup, type BackupResult } from '#operations/create-backup.ts';
import { prune, previewPrune, type PruneResult } from '#operations/prune.ts';
import { readCatalog } from '#operations/read-catalog.ts';
import { rotateKeys } from '#operations/rotate-keys.ts';
import { verifyBackups } from '#operations/verify-backup.ts';
import { listAuditEvents } from '#store/audit.ts';
import { listRuns } from '#store/runs.ts';
import { makeCluster, type TestCluster } from '../fixtures/cluster.ts';
import { dumpDatabase } from '../fixtures/dump.ts';
import { makeContext } from '../fixtures/host.ts';
import {
  chunkObjects,
  damage,
  listedBackups,
  manifestFile,
  objectFile,
  objectsOfTable,
} from '../fixtures/repository.ts';
import { reopen, restoreInto } from '../fixtures/restoring.ts';
import { addSettings, addUsers } from '../fixtures/rows.ts';
import { pausedReaders } from '../fixtures/workers.ts';
import { filesBelow, letTimePassBelow } from '../fixtures/files.ts';

const hourMs = 3_600_000;
const graceMs = 24 * hourMs;

const letTimePass = ({ host }: TestCluster, ms: number): void => letTimePassBelow(objectFile(host, ''), ms);

const backUp = async ({ context, cluster }: TestCluster, kind: BackupKind = 'manual'): Promise<BackupResult> =>
  await createBackup(context, cluster, { kind });

async function pruneBy(
  { context, cluster }: TestCluster,
  policy: RetentionPolicy,
  more: { readonly acceptEmptiedTables?: boolean } = {},
): Promise<PruneResult> {
  return await prune(context, cluster, { policy, graceMs, cause: 'manual', acceptEmptiedTables: false, ...more });
}

/** Three backups: rows that all share, and in each some that only it has. */
async function threeBackups() {
  const made = await makeCluster();
  const { queries } = made.cluster.database;
  await addSettings(made.cluster.database, 3000);
  const backups: BackupResult[] = [];
  for (const name of ['first', 'second', 'third']) {
    await sql`DELETE FROM users`.execute(queries);
    await addUsers(made.cluster.database, 5, `${name}.example.org`);
    backups.push(await backUp(made));
  }
  const [first, second, third] = backups as [BackupResult, BackupResult, BackupResult];
  return { ...made, first, second, third };
}

/** What holds the rows that only this backup has; several where the key of the cluster cuts between them. */
async function ownObjects({ host, cluster }: TestCluster, { id }: { readonly id: string }): Promise<string[]> {
  const own = await objectsOfTable(host, cluster.keyring, id, 'users');
  expect(own.length).toBeGreaterThan(0);
  return own;
}

async function expectRestorable({ context, host, cluster }: TestCluster, id: string): Promise<void> {
  const repository = { store: host.store, keyring: cluster.keyring };
  expect((await verifyBackups(context, repository, [id])).bad).toEqual([]);
}

describe('prune', () => {
  it('takes backups off the list at once, and deletes what only they needed a grace later, never before', async () => {
    const made = await threeBackups();
    const { host, cluster, first, second, third } = made;
    const before = chunkObjects(host);
    const own = [...(await ownObjects(made, first)), ...(await ownObjects(made, second))];
    const sizes = own.map((name) => statSync(objectFile(host, `chunks/${name.slice(0, 2)}/${name}`)).size);
    const shared = await objectsOfTable(host, cluster.keyring, first.id, 'settings');
    expect(shared).toEqual(await objectsOfTable(host, cluster.keyring, third.id, 'settings'));

    const result = await pruneBy(made, { last: 1 });

    expect(result.removed.map(({ id }) => id)).toEqual([second.id, first.id]);
    expect(result.kept).toEqual([
      expect.objectContaining({ id: third.id, reasons: ['newest', 'newest-verified', 'last'] }),
    ]);
    expect(result.condemned).toEqual({ objects: own.length, bytes: sizes.reduce((sum, size) => sum + size) });
    expect(result).toMatchObject({ deleted: { objects: 0, bytes: 0 }, inGrace: result.condemned });
    expect(await listedBackups(host, cluster.keyring)).toEqual([third.id]);
    expect(chunkObjects(host)).toEqual(before);
    expect((await listRuns(cluster.database.queries, { kind: 'prune' }))[0]).toMatchObject({ outcome: 'succeeded' });

    letTimePass(made, graceMs - hourMs);
    expect(await pruneBy(made, { last: 1 })).toMatchObject({ deleted: { objects: 0 }, inGrace: result.condemned });
    expect(chunkObjects(host)).toEqual(before);

    letTimePass(made, hourMs);
    expect(await pruneBy(made, { last: 1 })).toMatchObject({
      condemned: { objects: 0 },
      deleted: result.condemned,
      inGrace: { objects: 0, bytes: 0 },
      condemnedDocumentsRemoved: 1,
    });
    expect(chunkObjects(host)).toEqual(before.filter((name) => !own.includes(name)));
    expect(chunkObjects(host)).toEqual(expect.arrayContaining(shared));
    expect(filesBelow(objectFile(host, 'condemned'))).toEqual([]);
    const events = await listAuditEvents(cluster.database.queries, { type: 'BACKUP' });
    expect(events.map(({ action, details }) => [action, details])).toEqual([
      ['backups pruned', expect.objectContaining({ backups: 0, first: [], deleted: result.condemned })],
      [
        'backups pruned',
        expect.objectContaining({
          backups: 2,
          first: [
            { id: second.id, sequence: 2 },
            { id: first.id, sequence: 1 },
          ],
          condemned: result.condemned,
        }),
      ],
    ]);
    await expectRestorable(made, third.id);
    const restored = await restoreInto(made.context, host);
    expect(await dumpDatabase(restored.database)).toEqual(await dumpDatabase(cluster.database));
  });

  it('removes nothing with keys that were changed meanwhile: what is signed with the new ones it would not see', async () => {
    const made = await threeBackups();
    const { context, host, cluster } = made;
    await rotateKeys(context, host, cluster);
    const before = filesBelow(objectFile(host, ''));

    await expect(pruneBy(made, { last: 1 })).rejects.toMatchObject({
      code: 'lease-held',
      message: expect.stringContaining('the keys of the cluster were changed'),
    });

    expect(filesBelow(objectFile(host, ''))).toEqual(before);
    const current = { ...made, cluster: await reopen(context, host) };
    expect((await pruneBy(current, { last: 1 })).removed).toHaveLength(2);
    expect((await readCatalog(host.store, current.cluster.keyring)).backups[0]?.entry.verified).not.toBeNull();
  });

  it('changes nothing in a dry run, and says what the run then does', async () => {
    const made = await threeBackups();
    const { context, host, cluster, first, second } = made;
    const own = [...(await ownObjects(made, first)), ...(await ownObjects(made, second))];
    const settings = { policy: { last: 1 }, graceMs };
    const repository = { store: host.store, keyring: cluster.keyring, localState: cluster.localState };
    const files = () => filesBelow(objectFile(host, '')).map((file) => [file, statSync(file).mtimeMs]);

    for (const step of ['first phase', 'second phase']) {
      const before = files();
      const preview = await previewPrune(context, repository, settings);
      expect(files()).toEqual(before);
      expect(preview.dryRun).toBe(true);
      const run = await pruneBy(made, settings.policy);
      expect(preview.removed).toEqual(run.removed);
      expect(preview.kept).toEqual(run.kept);
      expect(preview.condemned).toEqual(run.condemned);
      expect(preview.deleted.objects).toBe(step === 'first phase' ? 0 : own.length);
      expect(run.deleted).toEqual(preview.deleted);
      letTimePass(made, graceMs);
    }
  });

  it('removes nothing without a policy, and still clears away what an interrupted backup left', async () => {
    const made = await threeBackups();
    const { host, cluster, third } = made;
    const own = await ownObjects(made, third);
    rmSync(manifestFile(host, third.id));
    await cluster.localState.update((before) => ({ ...before!, highestSequence: 2 }));

    const result = await pruneBy(made, {});

    expect(result.removed).toEqual([]);
    expect(result.kept.map(({ reasons }) => reasons.at(-1))).toEqual(['no-policy', 'no-policy']);
    expect(result.condemned.objects).toBe(own.length);
  });

  it.each(['edited', 'truncated', 'foreign'] as const)(
    'stops at a manifest that is %s, names it and removes nothing',
    async (kind) => {
      const made = await threeBackups();
      const { host, second } = made;
      const file = manifestFile(host, second.id);
      const text = readFileSync(file, 'utf8');
      rmSync(file);
      if (kind === 'edited') writeFileSync(file, text.replace('\\"kind\\":\\"manual\\"', '\\"kind\\":\\"safety\\"'));
      if (kind === 'truncated') writeFileSync(file, text.slice(0, 1000));
      if (kind === 'foreign') writeFileSync(objectFile(host, 'backups/readme.txt'), 'hello');
      const before = filesBelow(objectFile(host, ''));

      await expect(pruneBy(made, { last: 1 })).rejects.toMatchObject({
        exitCode: 20,
        message: expect.stringContaining(kind === 'foreign' ? 'backups/readme.txt' : `backups/${second.id}.json`),
      });

      expect(filesBelow(objectFile(host, ''))).toEqual(before);
    },
  );

  it('stops where newer backups are hidden', async () => {
    const made = await threeBackups();
    const { host, third } = made;
    rmSync(manifestFile(host, third.id));

    await expect(pruneBy(made, { last: 1 })).rejects.toMatchObject({ code: 'forged', exitCode: 20 });
  });

  it('stops while rows of an emptied table would be lost, until somebody accepts that', async () => {
    const made = await threeBackups();
    const { cluster, host } = made;
    await sql`DELETE FROM users`.execute(cluster.database.queries);
    await backUp(made);
    const emptied = await listedBackups(host, cluster.keyring);
    await expect(pruneBy(made, { last: 1 })).rejects.toMatchObject({
      code: 'rows-differ',
      message: expect.stringMatching(/^table "users" is empty now and had 5 rows in backup/),
    });
    // The next backup warns of nothing, and the rows would still be lost.
    await backUp(made);
    await expect(pruneBy(made, { last: 1 })).rejects.toMatchObject({
      message: expect.stringContaining('table "users" is empty in every backup that stays and has 5 rows'),
    });
    expect(await listedBackups(host, cluster.keyring)).toHaveLength(emptied.length + 1);

    expect((await pruneBy(made, { last: 1 }, { acceptEmptiedTables: true })).removed).toHaveLength(4);
    await backUp(made);
    expect((await pruneBy(made, { last: 1 })).removed).toHaveLength(1);
  });

  it('leaves a verified backup verified when the one goes whose reading covered its chunks', async () => {
    const made = await threeBackups();
    const { context, host, cluster, first, third } = made;
    rmSync(objectFile(host, 'verifications'), { recursive: true });
    const repository = { store: host.store, keyring: cluster.keyring };
    await verifyBackups(context, repository, [first.id]);
    const own = await objectsOfTable(host, cluster.keyring, third.id, 'users');
    const { readAt } = await readCatalog(host.store, cluster.keyring);
    expect(own.some((name) => readAt.has(name))).toBe(false);
    await verifyBackups(context, repository, [third.id]);
    const verified = (await readCatalog(host.store, cluster.keyring)).backups[0]?.entry.verified;
    expect(verified).not.toBeNull();

    for (let run = 0; run < 3; run += 1) {
      await pruneBy(made, { last: 1 });
      letTimePass(made, graceMs);
      const { backups } = await readCatalog(host.store, cluster.keyring);
      expect(backups.map(({ entry }) => entry.id)).toEqual([third.id]);
      expect(backups[0]?.entry.verified).toMatchObject({ level: verified?.level });
    }
  });

  it('keeps the damaged object of a healed chunk until the healed one was read back since', async () => {
    const made = await makeCluster();
    const { context, host, cluster } = made;
    await addSettings(cluster.database, 200);
    await addUsers(cluster.database, 3);
    const broken = await backUp(made);
    const names = await objectsOfTable(host, cluster.keyring, broken.id, 'settings');
    const [bad] = names;
    damage(host, 'bit-flipped', names);
    const repository = { store: host.store, keyring: cluster.keyring };
    await verifyBackups(context, repository, [broken.id]);
    const healed = await backUp(made);
    const [good] = await objectsOfTable(host, cluster.keyring, healed.id, 'settings');
    expect(good).not.toBe(bad);

    // The backup that names the bad one stays: so does the object.
    letTimePass(made, graceMs);
    expect(await pruneBy(made, {})).toMatchObject({ condemned: { objects: 0 }, inGrace: { objects: 0 } });

    expect((await pruneBy(made, { last: 1 })).removed.map(({ id }) => id)).toEqual([broken.id]);
    letTimePass(made, graceMs);
    expect(await pruneBy(made, { last: 1 })).toMatchObject({
      deleted: { objects: 0 },
      awaitingReadBack: { objects: 1 },
    });
    expect(chunkObjects(host)).toContain(bad);

    // Read before it was condemned, says the store; after it, says a host whose clock is wrong.
    const ahead = makeContext({ clock: { ...systemClock, now: () => new Date(Date.now() + 365 * 24 * hourMs) } });
    await verifyBackups(ahead, repository, [healed.id]);
    letTimePassBelow(objectFile(host, 'verifications'), 30 * hourMs);
    expect(await pruneBy(made, { last: 1 })).toMatchObject({ deleted: { objects: 0 } });
    expect(chunkObjects(host)).toContain(bad);

    // Nor does a time that has not come say that it was read since.
    letTimePassBelow(objectFile(host, 'verifications'), -365 * 24 * hourMs);
    expect(await pruneBy(made, { last: 1 })).toMatchObject({
      deleted: { objects: 0 },
      awaitingReadBack: { objects: 1 },
    });
    expect(chunkObjects(host)).toContain(bad);
    letTimePassBelow(objectFile(host, 'verifications'), 365 * 24 * hourMs);

    // And the other way round: a clock that is behind makes nobody wait for ever.
    const behind = makeContext({ clock: { ...systemClock, now: () => new Date(Date.now() - 365 * 24 * hourMs) } });
    await verifyBackups(behind, repository, [healed.id]);
    expect(await pruneBy(made, { last: 1 })).toMatchObject({
      deleted: { objects: 1 },
      awaitingReadBack: { objects: 0 },
    });
    expect(chunkObjects(host)).not.toContain(bad);
    await expectRestorable(made, healed.id);
  });

  it('makes the next backup store anew what is condemned, though it is still there', async () => {
    const made = await threeBackups();
    const { cluster, host, third } = made;
    const own = await ownObjects(made, third);
    rmSync(manifestFile(host, third.id));
    await cluster.localState.update((before) => ({ ...before!, highestSequence: 2 }));
    expect((await pruneBy(made, {})).condemned.objects).toBe(own.length);

    const next = await backUp(made);

    expect(next).toMatchObject({ newChunks: own.length });
    const anew = await ownObjects(made, next);
    expect(anew.map((name) => name.slice(0, 64))).toEqual(own.map((name) => name.slice(0, 64)));
    expect(anew.filter((name) => own.includes(name))).toEqual([]);
  });
});

describe('a backup beside a prune', () => {
  it('that took longer than half of the shortest grace is not listed, and the next one finds its chunks stored', async () => {
    const made = await makeCluster();
    const { context, host, cluster } = made;
    await addUsers(cluster.database, 5);
    let passedMs = 0;
    const clock = {
      ...systemClock,
      now: () => systemClock.now(),
      monotonicMs: () => systemClock.monotonicMs() + passedMs,
    };
    const crashPoints = {
      reach: (point: CrashPoint) => void (point === 'backup.confirmed' && (passedMs += 12 * hourMs)),
    };

    await expect(createBackup({ ...context, clock, crashPoints }, cluster, { kind: 'manual' })).rejects.toMatchObject({
      code: 'lease-held',
      message: expect.stringContaining('the backup took 12 hours'),
    });

    expect(passedMs).toBe(12 * hourMs);
    expect(await listedBackups(host, cluster.keyring)).toEqual([]);
    expect(await backUp(made)).toMatchObject({ newChunks: 0, sequence: 1 });
  });

  it('that loses an object while its manifest is written takes itself off the list', async () => {
    const made = await makeCluster();
    const { context, host, cluster } = made;
    await addUsers(cluster.database, 5);
    let lost: string | undefined;
    const crashPoints = {
      reach: (point: CrashPoint) => {
        if (point !== 'backup.manifest-written') return;
        [lost] = chunkObjects(host);
        rmSync(objectFile(host, `chunks/${lost!.slice(0, 2)}/${lost}`));
        expect(filesBelow(objectFile(host, 'backups'))).toHaveLength(1);
      },
    };

    await expect(createBackup({ ...context, crashPoints }, cluster, { kind: 'manual' })).rejects.toMatchObject({
      code: 'damaged',
      exitCode: 20,
      message: expect.stringContaining('was taken off the list'),
    });

    expect(lost).toBeDefined();
    expect(await listedBackups(host, cluster.keyring)).toEqual([]);
  });

  it('keeps prune out for as long as it has the lease', async () => {
    const made = await threeBackups();
    const { context, cluster, host } = made;
    const { startWorker, waiting, go } = pausedReaders();
    const running = createBackup({ ...context, startWorker }, cluster, { kind: 'manual' });
    await Promise.race([waiting, running]);

    await expect(pruneBy(made, { last: 1 })).rejects.toMatchObject({ code: 'lease-held', exitCode: 13 });
    expect(await listedBackups(host, cluster.keyring)).toHaveLength(3);
    go();

    await expectRestorable(made, (await running).id);
  });

  it('whose lease prune took over while it stood still lists nothing, and prune keeps its chunks for a grace', async () => {
    const made = await makeCluster();
    const { context, cluster, host } = made;
    await addUsers(cluster.database, 5);
    const crashPoints = {
      reach: (point: CrashPoint) => {
        if (point !== 'backup.confirmed') return;
        stolen = sql`UPDATE leases SET expires_at = now() - INTERVAL '1 second' WHERE name = 'operation'`
          .execute(cluster.database.queries)
          .then(async () => await pruneBy(made, { last: 1 }));
      },
    };
    let stolen: Promise<PruneResult> | undefined;
    const attempt = createBackup({ ...context, crashPoints }, cluster, { kind: 'manual' });
    await expect(attempt).rejects.toMatchObject({ code: 'lease-held' });

    const pruned = await stolen;
    expect(pruned?.condemned.objects).toBeGreaterThan(0);
    expect(await listedBackups(host, cluster.keyring)).toEqual([]);
    letTimePass(made, graceMs);
    const next = await backUp(made);
    expect(next.newChunks).toBe(next.totalChunks);
    // The next backup read its own objects back, so that those of the one that stood still are needed by nobody.
    expect((await pruneBy(made, { last: 1 })).deleted).toEqual(pruned?.condemned);
    await expectRestorable(made, next.id);
  });
});
