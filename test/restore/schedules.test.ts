import { readdirSync, rmSync, utimesSync } from 'node:fs';
import { sql } from 'kysely';
import { describe, expect, it, onTestFinished } from 'vitest';
import { systemClock } from '#adapters/system/clock.ts';
import { systemRandomness } from '#adapters/system/randomness.ts';
import { uuidv7 } from '#model/identifiers.ts';
import type { OperationContext } from '#operations/context.ts';
import { createBackup } from '#operations/create-backup.ts';
import { readCatalog } from '#operations/read-catalog.ts';
import { openOrCreateCluster } from '#operations/open-cluster.ts';
import { prune } from '#operations/prune.ts';
import { readStatus } from '#operations/read-status.ts';
import { dueForReading, readSchedules, type ScheduleSettings } from '#operations/read-schedules.ts';
import { beginReading } from '#operations/reading-time.ts';
import { recordVerification } from '#operations/record-verification.ts';
import { refuseLost, verifyBackups } from '#operations/verify-backup.ts';
import { parseSchedule } from '#model/schedule.ts';
import { readCluster } from '#store/cluster.ts';
import { makeCluster, type TestCluster } from '../fixtures/cluster.ts';
import { makeContext, makeHost, temporaryDirectory } from '../fixtures/host.ts';
import { enrol } from '../fixtures/hosts.ts';
import { damage, objectFile, objectsOfTable } from '../fixtures/repository.ts';
import { addUsers } from '../fixtures/rows.ts';
import { localWorkers } from '../fixtures/workers.ts';

const dayMs = 86_400_000;
const nightly = parseSchedule('0 0 * * *');
const backupSchedule = nightly.ok ? nightly.value : undefined;
const settings = { backupSchedule, drillSchedule: undefined, pruneSchedule: undefined, verifyPeriodMs: 30 * dayMs };

const midnightAfter = (time: Date): Date => new Date(Math.floor(time.getTime() / dayMs) * dayMs + dayMs);

async function schedules(
  { host, cluster }: TestCluster,
  now: Date,
  since = new Date(0),
  wanted: ScheduleSettings = settings,
) {
  const catalog = await readCatalog(host.store, cluster.keyring, now);
  return await readSchedules(cluster.database.queries, catalog, wanted, since, now);
}

describe('schedules', () => {
  it('count from the creation of the cluster, and from the last backup after that', async () => {
    const made = await makeCluster();
    const created = new Date('2026-01-01T12:00:00Z');

    const before = await schedules(made, new Date('2026-01-01T13:00:00Z'), created);
    expect(before.backup.due).toEqual({
      at: new Date('2026-01-02T00:00:00Z'),
      attemptAt: new Date('2026-01-02T00:00:00Z'),
      overdue: false,
    });
    expect(before.verify.due).toBeUndefined();
    expect(before.drill).toMatchObject({ schedule: null, due: undefined });
    const missed = await schedules(made, new Date('2026-02-01T00:00:00Z'), created);
    expect(missed.backup.due).toMatchObject({ at: new Date('2026-01-02T00:00:00Z'), overdue: true });

    const backup = await createBackup(made.context, made.cluster, { kind: 'scheduled' });
    const after = await schedules(made, new Date(), created);
    // However many were missed, one run answered them all.
    expect(after.backup.due).toMatchObject({ at: midnightAfter(new Date(backup.startedAt)), overdue: false });
    expect(after.backup.runs).toMatchObject([{ outcome: 'succeeded', backupId: backup.id }]);
    expect(after.verify.due?.at).toEqual(new Date(Date.parse(backup.verified!.oldestReadAt) + 15 * dayMs));
  });

  it('are not answered by a backup of a host whose clock is ahead', async () => {
    const made = await makeCluster();
    const created = new Date(Date.now() - 3 * dayMs);
    const nextYear = { ...made.context.clock, now: () => new Date(Date.now() + 400 * dayMs) };

    await createBackup({ ...made.context, clock: nextYear }, made.cluster, { kind: 'scheduled' });

    const { backup } = await schedules(made, new Date(), created);
    expect(backup).toMatchObject({ due: { at: midnightAfter(created), overdue: true }, runs: [] });
    const { startedAt } = await createBackup(made.context, made.cluster, { kind: 'scheduled' });
    const after = await schedules(made, new Date(), created);
    expect(after.backup.due).toMatchObject({ at: midnightAfter(new Date(startedAt)), overdue: false });
  });

  it('try again after a failure, and say why it failed', async () => {
    const made = await makeCluster();
    const startWorker = localWorkers({ openReader: () => Promise.reject(new Error('no reader today')) });
    await expect(createBackup({ ...made.context, startWorker }, made.cluster, { kind: 'scheduled' })).rejects.toThrow(
      'no reader today',
    );

    const { backup } = await schedules(made, new Date(), new Date('2026-01-01T12:00:00Z'));

    const [run] = backup.runs;
    expect(run).toMatchObject({
      outcome: 'failed',
      cause: 'schedule',
      error: { code: 'unexpected', message: 'no reader today' },
    });
    expect(backup.history).toMatchObject({ failures: 1, lastFailureAt: run?.endedAt });
    expect(backup.due).toMatchObject({ attemptAt: new Date(run!.endedAt!.getTime() + 60_000), overdue: true });
  });

  it('know from the repository alone what succeeded, as after a restore', async () => {
    const made = await makeCluster();
    const { context, cluster, host } = made;
    const backup = await createBackup(context, cluster, { kind: 'manual' });
    await recordVerification(
      context,
      { store: host.store, keyring: cluster.keyring },
      {
        backups: [backup.id],
        level: 'restored',
        begun: beginReading(context.clock),
        passed: true,
        objects: null,
        drill: { durationMs: 1 },
      },
    );
    await sql`DELETE FROM operation_runs`.execute(cluster.database.queries);

    const { backup: state, drill } = await schedules(made, new Date());

    expect(state.runs).toEqual([]);
    expect(state.history.lastSuccessAt).toEqual(new Date(backup.startedAt));
    expect(drill.history.lastSuccessAt).toBeInstanceOf(Date);
  });
});

/** Rows by who writes SQL, of runs that never were. */
async function plant({ cluster }: TestCluster, kind: string, outcome: string, beganAt: Date, endedAt = beganAt) {
  const runId = uuidv7(beganAt, systemRandomness.bytes(10));
  await sql`INSERT INTO operation_runs (run_id, kind, cause, holder, outcome, details, began_at, ended_at)
    VALUES (${runId}, ${kind}, 'schedule', 'x', ${outcome}, '{}', ${beganAt}, ${endedAt})`.execute(
    cluster.database.queries,
  );
}

const contextAt = (now: Date) => makeContext({ clock: { ...systemClock, now: () => now } });

describe('what the database says of runs', () => {
  const weekly = parseSchedule('0 3 * * 0');
  const drilled = { ...settings, drillSchedule: weekly.ok ? weekly.value : undefined };

  it('answers no schedule of backups and drills, whoever wrote it', async () => {
    const made = await makeCluster();
    const { startedAt } = await createBackup(made.context, made.cluster, { kind: 'scheduled' });
    const now = new Date(Date.now() + 60 * dayMs);
    for (const kind of ['backup', 'drill']) await plant(made, kind, 'succeeded', new Date(now.getTime() - 1000));

    const { backup, drill } = await schedules(made, now, undefined, drilled);
    expect(backup.due).toMatchObject({ at: midnightAfter(new Date(startedAt)), overdue: true });
    expect(drill).toMatchObject({ history: { lastSuccessAt: undefined }, due: { overdue: true } });
    const place = { onOneDisk: [], embeddedDatabase: false };
    const { healthy, findings } = await readStatus(contextAt(now), made.cluster, { ...drilled, ...place });
    expect(healthy).toBe(false);
    const codes = findings.map(({ code }) => code);
    expect(codes).toEqual(expect.arrayContaining(['backup-overdue', 'drill-overdue']));
  });

  it('does not count a backup that another host takes into another repository', async () => {
    const made = await makeCluster();
    await createBackup(made.context, made.cluster, { kind: 'scheduled' });
    const directory = temporaryDirectory();
    const second = await makeHost({ name: 'host-b', liveName: made.host.server.liveName, directory });
    await enrol(made.host, second);
    const { cluster, outcome } = await openOrCreateCluster(made.context, second);
    onTestFinished(() => cluster.database.close());
    expect(outcome).toBe('adopted');
    const now = new Date(Date.now() + 10 * dayMs);
    const { id } = await createBackup(contextAt(now), cluster, { kind: 'scheduled' });

    const { backup } = await schedules(made, new Date(now.getTime() + 2 * 3_600_000));
    expect(backup.runs[0]).toMatchObject({ outcome: 'succeeded', backupId: id });
    expect(backup.due?.overdue).toBe(true);
  });

  it('puts off nothing by a creation of the cluster that has not come yet', async () => {
    const made = await makeCluster();
    const { queries } = made.cluster.database;
    await sql`UPDATE cluster SET created_at = '2099-01-01'`.execute(queries);
    const since = (await readCluster(queries))!.createdAt;
    expect(since).toEqual(new Date('2099-01-01T00:00:00Z'));
    const all = { ...drilled, pruneSchedule: drilled.drillSchedule };
    const now = new Date();

    const { backup, drill, prune: pruning } = await schedules(made, now, since, all);
    for (const { due } of [backup, drill, pruning]) expect([due!.overdue, due!.attemptAt <= now]).toEqual([true, true]);
    await createBackup(made.context, made.cluster, { kind: 'scheduled' });
    const status = await readStatus(contextAt(now), made.cluster, { ...all, onOneDisk: [], embeddedDatabase: false });
    expect(status.healthy).toBe(false);
    const codes = status.findings.map(({ code }) => code);
    expect(codes).toEqual(expect.arrayContaining(['drill-overdue', 'prune-overdue']));
    // What is done is answered as always, and a clock that is a little behind makes nothing due.
    expect((await schedules(made, new Date(), since, all)).backup.due?.overdue).toBe(false);
    const soon = await schedules(made, now, new Date(now.getTime() + 300_000), all);
    expect(soon.drill.due?.overdue).toBe(false);
  });

  it('puts off no try for longer than a failure of now would', async () => {
    const made = await makeCluster();
    const now = new Date();
    await plant(made, 'backup', 'failed', now, new Date(now.getTime() + 1000 * dayMs));

    const { backup } = await schedules(made, now);
    expect(backup.due).toMatchObject({ attemptAt: new Date(now.getTime() + 60_000), overdue: true });
  });

  it('keeps the run that was just begun, where a clock set back makes a thousand others newer', async () => {
    const made = await makeCluster();
    await createBackup(made.context, made.cluster, { kind: 'scheduled' });
    await sql`INSERT INTO operation_runs (run_id, kind, cause, holder, outcome, details, began_at, ended_at)
      SELECT gen_random_uuid(), 'prune', 'schedule', 'x', 'succeeded', '{}', t, t
        FROM generate_series(date_trunc('second', now()) - INTERVAL '1000 hours', now(), INTERVAL '1 hour') AS t`.execute(
      made.cluster.database.queries,
    );
    const context = contextAt(new Date(Date.now() - 100 * dayMs));
    const hourly = parseSchedule('0 * * * *');
    const pruning = { ...settings, pruneSchedule: hourly.ok ? hourly.value : undefined };
    const options = { policy: { last: 3 }, graceMs: dayMs, cause: 'schedule', acceptEmptiedTables: false } as const;
    for (const _ of ['first', 'second']) {
      await prune(context, made.cluster, options);
      const { prune: state } = await schedules(made, context.clock.now(), undefined, pruning);
      expect(state.runs).toMatchObject([{ outcome: 'succeeded', beganAt: context.clock.now() }]);
      expect(state.due!.attemptAt.getTime()).toBeGreaterThan(context.clock.now().getTime());
    }
    const { rows } = await sql<{ count: string }>`SELECT count(*)::text AS count FROM operation_runs
      WHERE kind = 'prune'`.execute(made.cluster.database.queries);
    expect(Number(rows[0]!.count)).toBeLessThanOrEqual(1001);
  });
});

describe('reading every chunk again', () => {
  it('counts from when the reading began: what happens to a chunk meanwhile it cannot vouch for', async () => {
    const { context, cluster, host } = await makeCluster();
    const backup = await createBackup(context, cluster, { kind: 'manual' });
    const begunAt = new Date();
    let now = begunAt;
    const late = makeContext({
      clock: { ...systemClock, now: () => now },
      progress: { ...context.progress, phase: () => void (now = new Date(begunAt.getTime() + 3_600_000)) },
    });

    const { at } = await verifyBackups(late, { store: host.store, keyring: cluster.keyring }, [backup.id]);

    expect([at, now.getTime() - begunAt.getTime()]).toEqual([begunAt.toISOString(), 3_600_000]);
    const { verifications } = await readCatalog(host.store, cluster.keyring);
    expect(verifications.find(({ level }) => level === 'all-chunks')).toMatchObject({ at, readingMs: 3_600_000 });
  });

  it('is due for a backup in the second half of the period, and for one that was never read', async () => {
    const made = await makeCluster();
    const { context, cluster, host } = made;
    const { id } = await createBackup(context, cluster, { kind: 'manual' });
    const due = async (days: number) =>
      dueForReading(
        await readCatalog(host.store, cluster.keyring),
        settings.verifyPeriodMs,
        new Date(Date.now() + days * dayMs),
      );
    expect(await due(14)).toEqual([]);
    expect(await due(16)).toEqual([id]);

    rmSync(objectFile(host, 'verifications'), { recursive: true });
    expect(await due(0)).toEqual([id]);
    await verifyBackups(makeContext(), { store: host.store, keyring: cluster.keyring }, [id]);
    expect(await due(0)).toEqual([]);
  });

  it('is due at once for what was read by a host and a store whose clocks are ahead, and hides no failure since', async () => {
    const made = await makeCluster();
    const { context, cluster, host } = made;
    const repository = { store: host.store, keyring: cluster.keyring };
    await addUsers(cluster.database, 50);
    const nextYear = new Date(Date.now() + 365 * dayMs);
    const { id, verified } = await createBackup(contextAt(nextYear), cluster, { kind: 'scheduled' });
    const names = readdirSync(objectFile(host, 'verifications'));
    for (const name of names) utimesSync(objectFile(host, `verifications/${name}`), nextYear, nextYear);
    const stored = (await readCatalog(host.store, cluster.keyring)).verifications;
    expect(stored.map(({ modifiedAt, at }) => [modifiedAt, at])).toEqual([[nextYear, nextYear.toISOString()]]);
    const readStatusNow = () => readStatus(context, cluster, { ...settings, onOneDisk: [], embeddedDatabase: false });
    const dueNow = async () => {
      const now = new Date();
      return dueForReading(await readCatalog(host.store, cluster.keyring, now), settings.verifyPeriodMs, now);
    };

    expect(verified).not.toBeNull();
    expect(await dueNow()).toEqual([id]);
    const unread = await readStatusNow();
    expect(unread.findings.map(({ code }) => code)).toContain('reading-overdue');
    expect(unread.schedules.verify.nextDue! < new Date().toISOString()).toBe(true);

    const [lost] = await objectsOfTable(host, cluster.keyring, id, 'users');
    damage(host, 'bit-flipped', [lost!]);
    const result = await verifyBackups(context, repository, [id]);
    expect(() => refuseLost(result)).toThrow(expect.objectContaining({ code: 'damaged', exitCode: 20 }) as Error);
    const after = await readStatusNow();
    expect([after.healthy, after.lastBackup?.verified]).toEqual([false, null]);
    expect(after.findings.map(({ code }) => code)).toContain('backup-not-verified');
    // Never read back, and made next year: nor is that when its turn comes.
    expect(after.schedules.verify).toMatchObject({ overdue: true });
    expect(await dueNow()).toEqual([id]);

    await createBackup(context, cluster, { kind: 'scheduled' });
    expect((await verifyBackups(context, repository, [id])).failed).toEqual([]);
    expect(await dueNow()).toEqual([]);
    expect((await readStatusNow()).findings.map(({ code }) => code)).not.toContain('reading-overdue');
  });

  it('tells a drill that failed, whatever one of next year says of another backup', async () => {
    const { context, cluster, host } = await makeCluster();
    const repository = { store: host.store, keyring: cluster.keyring };
    const nextYear = contextAt(new Date(Date.now() + 365 * dayMs));
    const drill = async (drilling: OperationContext, passed: boolean): Promise<void> => {
      const { id } = await createBackup(context, cluster, { kind: 'manual' });
      const before = new Set(readdirSync(objectFile(host, 'verifications')));
      const begun = beginReading(drilling.clock);
      const outcome = {
        backups: [id],
        level: 'restored',
        begun,
        passed,
        objects: null,
        drill: { durationMs: 1 },
      } as const;
      await recordVerification(drilling, repository, outcome);
      const [own] = readdirSync(objectFile(host, 'verifications')).filter((name) => !before.has(name));
      const now = drilling.clock.now();
      utimesSync(objectFile(host, `verifications/${own!}`), now, now);
    };
    await drill(nextYear, true);
    await drill(context, false);

    const status = await readStatus(context, cluster, { ...settings, onOneDisk: [], embeddedDatabase: false });
    expect(status.lastDrill?.passed).toBe(false);
    expect(status.findings.map(({ code }) => code)).toContain('drill-failed');
  });
});
