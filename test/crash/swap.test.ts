import { isEnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { systemClock } from '#adapters/system/clock.ts';
import type { CrashPoint } from '#model/crash-point.ts';
import { beforeName } from '#model/restore-names.ts';
import { cleanUpRestore, leftDatabases } from '#operations/clean-up-restore.ts';
import type { DatabaseStatus } from '#operations/database-status.ts';
import type { UnfinishedSwap } from '#operations/find-unfinished-swap.ts';
import { openCluster } from '#operations/open-cluster.ts';
import { planRollback } from '#operations/plan-rollback.ts';
import { restore } from '#operations/restore.ts';
import { rollbackRestore } from '#operations/rollback-restore.ts';
import type { Clock } from '#ports/clock.ts';
import { verifyAuditChain } from '#store/audit.ts';
import { listRestores } from '#store/restores.ts';
import { runCommand, runJson, type CommandOptions } from '../fixtures/command.ts';
import { debianUnavailable } from '../fixtures/debian-postgresql.ts';
import { dumpDatabase } from '../fixtures/dump.ts';
import { makeContext } from '../fixtures/host.ts';
import { withCluster } from '../fixtures/hosts.ts';
import { confirmed } from '../fixtures/restoring.ts';
import {
  copyPlace,
  letExpire,
  preparePlace,
  sharedHost,
  writeRows,
  type Dump,
  type PreparedPlace,
  type SharedHost,
} from '../fixtures/shared-cluster.ts';
import { serveOn } from '../fixtures/watched-server.ts';
import { crash, crashTestMs, pointsOf } from './crashing.ts';

vi.setConfig({ testTimeout: crashTestMs, hookTimeout: crashTestMs });

const ofSwap: readonly CrashPoint[] = ['swap.live-renamed', 'swap.staging-renamed'];
const ofFinishing: readonly CrashPoint[] = ['swap.finishing', 'swap.finished'];

let prepared: PreparedPlace;

beforeEach((context) => {
  if (debianUnavailable !== undefined) context.skip(debianUnavailable);
});

beforeAll(async () => {
  if (debianUnavailable === undefined) prepared = await preparePlace();
});

it('every point of a swap in two steps is killed at here', () => {
  expect([...ofSwap, ...ofFinishing]).toEqual(pointsOf('swap'));
});

async function hosts(): Promise<readonly [SharedHost, SharedHost]> {
  const place = await copyPlace(prepared);
  return [await sharedHost(place, 'host-a'), await sharedHost(place, 'host-b')];
}

/** As on an engine that renames one database at a time. */
const inTwoSteps = ({ options }: SharedHost): CommandOptions => ({
  ...options,
  env: { ...options.env, ENCLAVE_MANAGER_TEST_SWAP: 'two-steps' },
});

const rowsOf = (host: SharedHost): Promise<Dump> => withCluster(host, ({ database }) => dumpDatabase(database));

async function crashRestore(host: SharedHost, point: CrashPoint): Promise<void> {
  await crash(['restore', 'run', prepared.backupId, '--yes'], inTwoSteps(host), point);
}

/** What `database status` says of it, which changes nothing. */
async function unfinished(host: SharedHost): Promise<Omit<UnfinishedSwap, 'outcome'> | null> {
  const status = await runJson(['database', 'status'], inTwoSteps(host));
  return (status as Pick<DatabaseStatus, 'unfinishedSwap'>).unfinishedSwap;
}

describe('a restore killed in a swap of two steps', () => {
  it.each(ofSwap)('at %s is finished by another host, and can be rolled back', async (point) => {
    const [lost, other] = await hosts();
    await crashRestore(lost, point);

    const { server } = other;
    const isHalf = point === 'swap.live-renamed';
    expect((await server.databaseIdentity(server.liveName)) === undefined).toBe(isHalf);
    const said = await unfinished(other);
    expect(said?.before.includes('_before_') ?? false).toBe(isHalf);

    expect(await rowsOf(other)).toEqual(prepared.backedUp);
    expect(await unfinished(other)).toBeNull();
    await withCluster(other, async (cluster) => {
      await verifyAuditChain(cluster.database.queries);
      const [record] = await listRestores(cluster.database.queries);
      expect(record).toMatchObject({ state: isHalf ? 'complete' : 'prepared', backupId: prepared.backupId });
      await rollbackRestore(makeContext(), cluster, await planRollback(cluster));
    });
    expect(await rowsOf(other)).toEqual(prepared.changed);
  });

  it('is finished by the next command on the same host', async () => {
    const [lost] = await hosts();
    await crashRestore(lost, 'swap.live-renamed');
    const result = await runCommand(['node', 'probe'], inTwoSteps(lost));
    expect(result, result.stderr).toMatchObject({ exitCode: 0 });
    expect(result.stderr).toContain('finishing a swap that was interrupted');
    expect(await rowsOf(lost)).toEqual(prepared.backedUp);
  });

  it.each(ofFinishing)('is finished although who finishes it is killed as well, at %s', async (point) => {
    const [lost, other] = await hosts();
    await crashRestore(lost, 'swap.live-renamed');
    await crash(['node', 'probe'], inTwoSteps(lost), point);
    expect((await unfinished(other)) === null).toBe(point === 'swap.finished');
    expect(await rowsOf(other)).toEqual(prepared.backedUp);
    const left = await leftDatabases(other.server);
    expect(left).toMatchObject([{ role: 'before' }]);
    await withCluster(other, (cluster) => cleanUpRestore(makeContext(), cluster, left));
    expect(await rowsOf(other)).toEqual(prepared.backedUp);
  });

  it('is finished once, whoever of several is first', async () => {
    const [lost, other] = await hosts();
    await crashRestore(lost, 'swap.live-renamed');
    // Who finishes it ends the sessions of who came at the same time; for them it is done at the second attempt.
    const twice = async (host: Parameters<typeof rowsOf>[0]) =>
      await rowsOf(host).catch(async (error: unknown) => {
        if (!isEnclaveManagerError(error, 'database-unreachable')) throw error;
        return await rowsOf(host);
      });
    const found = await Promise.all([twice(lost), twice(other), twice(other), twice(lost)]);
    for (const rows of found) expect(rows).toEqual(prepared.backedUp);
    expect(await leftDatabases(other.server)).toMatchObject([{ role: 'before' }]);
  });

  it('is finished by another restore, which then replaces it', async () => {
    const [lost, other] = await hosts();
    await crashRestore(lost, 'swap.live-renamed');
    await restore(makeContext(), other, { ...confirmed, backup: prepared.backupId, safetyBackup: false });
    expect(await rowsOf(other)).toEqual(prepared.backedUp);
    expect((await leftDatabases(other.server)).map(({ role }) => role)).toEqual(['before', 'before']);
  });

  it('is finished by a manager that runs, which serves the restored rows then', async () => {
    const [lost, other] = await hosts();
    const server = await serveOn(other, { ENCLAVE_MANAGER_TEST_SWAP: 'two-steps' });
    await crashRestore(lost, 'swap.live-renamed');
    await server.saw(/finishing a swap that was interrupted/);
    await server.saw(/another database serves now/);
    await server.untilReady();
    expect(await rowsOf(lost)).toEqual(prepared.backedUp);
  });
});

describe('a rollback killed in a swap of two steps', () => {
  it.each(ofSwap)('at %s is finished by another host, and can be rolled back', async (point) => {
    const [lost, other] = await hosts();
    await restore(makeContext(), other, { ...confirmed, backup: prepared.backupId, safetyBackup: false });
    const written = await withCluster(other, ({ database }) => writeRows(database, 'after the restore'));
    await crash(['restore', 'rollback', '--yes'], inTwoSteps(lost), point);
    expect((await unfinished(other)) === null).toBe(point === 'swap.staging-renamed');

    expect(await rowsOf(other)).toEqual(prepared.changed);
    await letExpire(other);
    await withCluster(other, async (cluster) => {
      await verifyAuditChain(cluster.database.queries);
      const plan = await planRollback(cluster);
      expect(plan.undoes).toBe('rollback');
      await rollbackRestore(makeContext(), cluster, plan);
    });
    expect(await rowsOf(other)).toEqual(written);
  });
});

it('a rollback on a host whose clock is behind is finished as well', async () => {
  const [lost, other] = await hosts();
  const ahead: Clock = { ...systemClock, now: () => new Date(systemClock.now().getTime() + 3_600_000) };
  const { restoreId } = await restore(makeContext({ clock: ahead }), other, {
    ...confirmed,
    backup: prepared.backupId,
    safetyBackup: false,
  });
  await crash(['restore', 'rollback', '--yes'], inTwoSteps(lost), 'swap.live-renamed');
  const swap = await unfinished(other);
  expect(swap).toMatchObject({ staging: beforeName(other.server.liveName, restoreId) });
  expect(swap!.restoreId > restoreId).toBe(true);
  expect(await rowsOf(other)).toEqual(prepared.changed);
  expect(await unfinished(other)).toBeNull();
});

describe('where no database says that it was about to serve', () => {
  it('nothing is guessed, the commands are named, and a restore goes on', async () => {
    const [lost, other] = await hosts();
    await crashRestore(lost, 'swap.live-renamed');
    const { server } = other;
    const staging = (await leftDatabases(server)).find(({ role }) => role === 'staging')!;
    await server.dropDatabase(staging.name);

    const refused = await runCommand(['node', 'probe'], inTwoSteps(other));
    expect(refused).toMatchObject({ exitCode: 12 });
    expect(refused.stderr).toMatch(/restore run latest[^]*ALTER DATABASE ".*_before_.*" RENAME TO/);
    expect(await server.databaseIdentity(server.liveName)).toBeUndefined();

    await restore(makeContext(), other, { ...confirmed, backup: prepared.backupId, safetyBackup: false });
    expect(await rowsOf(other)).toEqual(prepared.backedUp);
  });

  it('what was replaced long ago does not come back by itself when somebody drops the live database', async () => {
    const [, other] = await hosts();
    const again = { ...confirmed, backup: prepared.backupId, safetyBackup: false };
    await restore(makeContext(), other, again);
    await withCluster(other, async (cluster) => rollbackRestore(makeContext(), cluster, await planRollback(cluster)));
    await restore(makeContext(), other, again);
    await restore(makeContext(), other, again);
    const { server } = other;
    await server.dropDatabase(server.liveName);

    await expect(openCluster(makeContext(), other)).rejects.toMatchObject({ code: 'restore-needed', exitCode: 12 });
    expect(await server.databaseIdentity(server.liveName)).toBeUndefined();
  });
});
