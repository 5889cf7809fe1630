import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { isEnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { leftDatabases } from '#operations/clean-up-restore.ts';
import { createBackup } from '#operations/create-backup.ts';
import { openCluster } from '#operations/open-cluster.ts';
import { planRollback } from '#operations/plan-rollback.ts';
import { restore } from '#operations/restore.ts';
import { rollbackRestore } from '#operations/rollback-restore.ts';
import { readLease } from '#store/lease-rows.ts';
import { readMaintenance } from '#store/maintenance.ts';
import { startCuttingProxy, type Cut, type CuttingProxy } from '../fixtures/cutting-proxy.ts';
import { debianUnavailable } from '../fixtures/debian-postgresql.ts';
import { makeContext } from '../fixtures/host.ts';
import { confirmed } from '../fixtures/restoring.ts';
import {
  copyPlace,
  dumpLive,
  letExpire,
  preparePlace,
  sharedHost,
  type PreparedPlace,
  type SharedHost,
} from '../fixtures/shared-cluster.ts';

vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

let prepared: PreparedPlace;

beforeEach((context) => {
  if (debianUnavailable !== undefined) context.skip(debianUnavailable);
});

beforeAll(async () => {
  if (debianUnavailable === undefined) prepared = await preparePlace();
});

/** One host that reaches the server through the proxy, and one that does not. */
async function hosts(): Promise<{ readonly far: SharedHost; readonly near: SharedHost; readonly proxy: CuttingProxy }> {
  const place = await copyPlace(prepared);
  const near = await sharedHost(place, 'host-b');
  const direct = new URL(near.options.env!['ENCLAVE_MANAGER_DATABASE_URL']!);
  const proxy = await startCuttingProxy({ host: direct.hostname, port: Number(direct.port) });
  direct.port = String(proxy.port);
  direct.hostname = '127.0.0.1';
  return { far: await sharedHost(place, 'host-a', direct.href), near, proxy };
}

const outcomeOf = async (work: Promise<unknown>): Promise<unknown> =>
  await work.then(
    () => 'done',
    (error: unknown) => (isEnclaveManagerError(error) ? error.code : error),
  );

const renames = /^ALTER DATABASE .* RENAME TO/m;
const cases: readonly (readonly [Cut, string])[] = [
  ['reply lost', 'done'],
  ['request lost', 'database-unreachable'],
];

describe('a connection that is cut at the COMMIT of the swap', () => {
  it.each(cases)('with the %s: the restore says %s, and so it is', async (cut, outcome) => {
    const { far, near, proxy } = await hosts();
    proxy.cutAt(cut, /^COMMIT$/i, renames);

    expect(await outcomeOf(restore(makeContext(), far, { ...confirmed, backup: prepared.backupId }))).toBe(outcome);

    expect(proxy.cuts).toEqual(['COMMIT']);
    const swapped = outcome === 'done';
    expect(await dumpLive(near)).toEqual(swapped ? prepared.backedUp : prepared.changed);
    expect((await leftDatabases(near.server)).map(({ role }) => role)).toEqual(swapped ? ['before'] : []);
    const database = near.server.open(near.server.liveName);
    expect(await readMaintenance(database.queries)).toBeUndefined();
    expect(await readLease(database.queries, 'operation')).toBeUndefined();
    await database.close();
  });

  it.each(cases)('with the %s: the rollback says %s, and so it is', async (cut, outcome) => {
    const { far, near, proxy } = await hosts();
    await restore(makeContext(), near, { ...confirmed, backup: prepared.backupId, safetyBackup: false });
    const cluster = await openCluster(makeContext(), far);
    const plan = await planRollback(cluster);
    proxy.cutAt(cut, /^COMMIT$/i, renames);

    expect(await outcomeOf(rollbackRestore(makeContext(), cluster, plan))).toBe(outcome);
    await cluster.database.close();

    expect(proxy.cuts).toEqual(['COMMIT']);
    expect(await dumpLive(near)).toEqual(outcome === 'done' ? prepared.changed : prepared.backedUp);
    const again = await openCluster(makeContext(), near);
    expect((await planRollback(again)).undoes).toBe(outcome === 'done' ? 'rollback' : 'restore');
    await again.database.close();
  });
});

describe('a connection that is cut when the lease is taken', () => {
  it.each(['reply lost', 'request lost'] as const)(
    'with the %s: nothing is done, and the lease is free in time',
    async (cut) => {
      const { far, near, proxy } = await hosts();
      const manifests = (): string[] => readdirSync(join((near.store.connection as { path: string }).path, 'backups'));
      const before = manifests();
      const cluster = await openCluster(makeContext(), far);
      proxy.cutAt(cut, /^commit$/i, /update "leases" set/);

      expect(await outcomeOf(createBackup(makeContext({ holder: 'far' }), cluster, { kind: 'manual' }))).toBe(
        'database-unreachable',
      );

      expect(proxy.cuts).toHaveLength(1);
      const held = await readLease(cluster.database.queries, 'operation');
      expect(held?.holder).toBe(cut === 'reply lost' ? 'far' : undefined);
      expect(manifests()).toEqual(before);
      // Nobody renews it, so it ends by itself.
      if (held !== undefined) await letExpire(near);
      await createBackup(makeContext(), cluster, { kind: 'manual' });
      expect(manifests()).toHaveLength(before.length + 1);
      await cluster.database.close();
    },
  );
});
