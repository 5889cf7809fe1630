import { sql } from 'kysely';
import { beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { isEnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { cleanUpRestore, leftDatabases } from '#operations/clean-up-restore.ts';
import { planRollback } from '#operations/plan-rollback.ts';
import { readCatalog } from '#operations/read-catalog.ts';
import { restore } from '#operations/restore.ts';
import { rollbackRestore } from '#operations/rollback-restore.ts';
import { verifyBackups } from '#operations/verify-backup.ts';
import type { Cluster } from '#operations/context.ts';
import { verifyAuditChain } from '#store/audit.ts';
import { debianUnavailable } from '../fixtures/debian-postgresql.ts';
import { dumpDatabase } from '../fixtures/dump.ts';
import { makeContext } from '../fixtures/host.ts';
import { withCluster } from '../fixtures/hosts.ts';
import { confirmed } from '../fixtures/restoring.ts';
import {
  copyPlace,
  dumpLive,
  letExpire,
  preparePlace,
  sharedHost,
  writeRows,
  type Dump,
  type PreparedPlace,
  type SharedHost,
} from '../fixtures/shared-cluster.ts';
import { crash, crashTestMs, pointsOf, reached } from './crashing.ts';

vi.setConfig({ testTimeout: crashTestMs, hookTimeout: crashTestMs });

let prepared: PreparedPlace;

beforeEach((context) => {
  if (debianUnavailable !== undefined) context.skip(debianUnavailable);
});

beforeAll(async () => {
  if (debianUnavailable === undefined) prepared = await preparePlace();
});

/** Two hosts on a copy of the prepared database and repository: one to be killed, and one that finds what it left. */
async function hosts(): Promise<readonly [SharedHost, SharedHost]> {
  const place = await copyPlace(prepared);
  return [await sharedHost(place, 'host-a'), await sharedHost(place, 'host-b')];
}

/** The promises, as the surviving host sees them: every backup that is listed can be read, and the audit chain holds. */
async function expectPromises(host: SharedHost, cluster: Cluster): Promise<void> {
  const { backups, rejected } = await readCatalog(host.store, cluster.keyring);
  expect(rejected).toEqual([]);
  const ids = backups.map(({ entry }) => entry.id);
  const verified = await verifyBackups(makeContext(), { store: host.store, keyring: cluster.keyring }, ids);
  expect(verified.failed).toEqual([]);
  await verifyAuditChain(cluster.database.queries);
}

/** Cleans up on a host that has seen nothing of what went before, and leaves the live database alone. */
async function cleanUp(host: SharedHost): Promise<number> {
  return await withCluster(host, async (cluster) => {
    const left = await leftDatabases(host.server);
    await cleanUpRestore(makeContext(), cluster, left);
    expect(await leftDatabases(host.server)).toEqual([]);
    return left.length;
  });
}

const rowsOf = (host: SharedHost): Promise<Dump> => withCluster(host, ({ database }) => dumpDatabase(database));

describe('a restore whose host is lost', () => {
  it.each(pointsOf('restore'))(
    'after %s leaves the old or the new database whole, and another host restores',
    async (point) => {
      const [lost, other] = await hosts();
      await crash(['restore', 'run', prepared.backupId, '--yes'], lost.options, point);

      expect(await dumpLive(other)).toEqual(reached(point, 'restore.swapped') ? prepared.backedUp : prepared.changed);
      // Dead processes hold nothing for longer than their leases; after the swap there is none.
      const again = () => restore(makeContext({ holder: 'other' }), other, { ...confirmed, backup: prepared.backupId });
      const isFree = reached(point, 'restore.swapped') || point === 'restore.planned';
      const outcome = await again().then(
        () => 'restored',
        (error: unknown) => (isEnclaveManagerError(error) ? error.code : error),
      );
      expect(outcome).toBe(isFree ? 'restored' : 'lease-held');
      await letExpire(other);
      if (!isFree) await again();

      expect(await rowsOf(other)).toEqual(prepared.backedUp);
      await withCluster(other, (cluster) => expectPromises(other, cluster));
      expect(await cleanUp(other)).toBeGreaterThan(0);
      expect(await rowsOf(other)).toEqual(prepared.backedUp);
    },
  );
});

describe('a rollback whose host is lost', () => {
  it.each(pointsOf('rollback'))(
    'after %s leaves one of both serving, and another host goes either way',
    async (point) => {
      const [lost, other] = await hosts();
      await restore(makeContext(), other, { ...confirmed, backup: prepared.backupId, safetyBackup: false });
      const written = await withCluster(other, ({ database }) => writeRows(database, 'after the restore'));
      await crash(['restore', 'rollback', '--yes'], lost.options, point);

      const swapped = reached(point, 'rollback.swapped');
      expect(await dumpLive(other)).toEqual(swapped ? prepared.changed : written);
      await letExpire(other);
      await withCluster(other, async (cluster) => {
        await expectPromises(other, cluster);
        const plan = await planRollback(cluster);
        expect(plan.undoes).toBe(swapped ? 'rollback' : 'restore');
        await rollbackRestore(makeContext(), cluster, plan);
      });
      expect(await rowsOf(other)).toEqual(swapped ? written : prepared.changed);
      expect(await cleanUp(other)).toBe(1);
    },
  );
});

describe('a cleanup whose host is lost', () => {
  it.each(pointsOf('cleanup'))(
    'after %s has not touched the live database, and another host ends it',
    async (point) => {
      const [lost, other] = await hosts();
      await restore(makeContext(), other, { ...confirmed, backup: prepared.backupId, safetyBackup: false });
      const last = await restore(makeContext(), other, {
        ...confirmed,
        backup: prepared.backupId,
        safetyBackup: false,
      });
      await crash(['restore', 'cleanup', '--yes'], lost.options, point);

      expect(await dumpLive(other)).toEqual(prepared.backedUp);
      const left = await leftDatabases(other.server);
      expect(left).toHaveLength(reached(point, 'cleanup.recorded') ? 0 : point === 'cleanup.dropped' ? 1 : 2);
      await letExpire(other);
      expect(await cleanUp(other)).toBe(left.length);
      await withCluster(other, async (cluster) => {
        await expectPromises(other, cluster);
        await expect(planRollback(cluster)).rejects.toMatchObject({ code: 'not-found', exitCode: 3 });
        const { rows } = await sql`SELECT 1 FROM restores WHERE cleaned_up_at IS NOT NULL`.execute(
          cluster.database.queries,
        );
        // The live database knows of the restore that it came from, and of no other.
        const isRecorded = point === 'cleanup.recorded' || left.some(({ name }) => name === last.beforeDatabase);
        expect(rows).toHaveLength(isRecorded ? 1 : 0);
      });
    },
  );
});
