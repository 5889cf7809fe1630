import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { beginMaintenance, endMaintenance, prolongMaintenance, readMaintenance } from '#store/maintenance.ts';
import { listRestores, readRestore, recordRestore, updateRestore, type RestoreRecord } from '#store/restores.ts';
import { lastRuns, listRuns, recordRunBegin, recordRunEnd } from '#store/runs.ts';
import {
  acknowledgeMaintenance,
  heartbeat,
  liveServers,
  registerServer,
  removeServer,
  serversStillServing,
} from '#store/servers.ts';
import { tablesOf, type Queries } from '#store/tables.ts';
import { migratedDatabase, ports } from './store-database.ts';

const id = (last: number): string => `019aa8f0-0000-7000-8000-${String(last).padStart(12, '0')}`;

const server = (last: number) => ({
  serverId: id(last),
  nodeId: null,
  host: `host-${last}`,
  processId: 4711,
  address: null,
  productVersion: '0.1.0',
});

async function expire(queries: Queries, last: number): Promise<void> {
  await tablesOf(queries)
    .updateTable('servers')
    .set({ expires_at: new Date(0) })
    .where('server_id', '=', id(last))
    .execute();
}

describe('server registrations', () => {
  it('live as long as their heartbeats', async () => {
    const { queries } = (await migratedDatabase()).database;
    await registerServer(queries, server(1), 60_000);
    await registerServer(queries, server(2), 60_000);
    expect((await liveServers(queries)).map((each) => each.host)).toEqual(['host-1', 'host-2']);
    await expire(queries, 2);
    expect((await liveServers(queries)).map((each) => each.host)).toEqual(['host-1']);
    expect(await heartbeat(queries, id(1), 60_000)).toBe(true);
    expect(await heartbeat(queries, id(2), 60_000)).toBe(false);
    await registerServer(queries, server(3), 60_000);
    const kept = await tablesOf(queries).selectFrom('servers').select('host').orderBy('host').execute();
    expect(kept.map((row) => row.host)).toEqual(['host-1', 'host-3']);
  });

  it('hold a maintenance back until each has acknowledged it, gone, or expired', async () => {
    const { queries } = (await migratedDatabase()).database;
    for (const last of [1, 2, 3]) await registerServer(queries, server(last), 60_000);
    await acknowledgeMaintenance(queries, id(1), id(77));
    const serving = async () => (await serversStillServing(queries, id(77))).map((each) => each.host);
    expect(await serving()).toEqual(['host-2', 'host-3']);
    await removeServer(queries, id(2));
    await expire(queries, 3);
    expect(await serving()).toEqual([]);
    expect((await serversStillServing(queries, id(78))).map((each) => each.host)).toEqual(['host-1']);
  });
});

describe('maintenance', () => {
  const request = { maintenanceId: id(1), reason: 'restore', begunBy: 'host-a', ttlMs: 60_000 };

  it('begins, is prolonged by whoever began it, refuses another, and ends', async () => {
    const { queries } = (await migratedDatabase()).database;
    expect(await readMaintenance(queries)).toBeUndefined();
    await beginMaintenance(queries, request);
    const begun = await readMaintenance(queries);
    expect(begun).toMatchObject({ maintenanceId: id(1), reason: 'restore', begunBy: 'host-a' });
    const until = await prolongMaintenance(queries, id(1), 120_000);
    expect(await prolongMaintenance(queries, id(2), 120_000)).toBeUndefined();
    const prolonged = await readMaintenance(queries);
    expect(prolonged?.begunAt).toEqual(begun?.begunAt);
    expect(prolonged?.expiresAt).toEqual(until);
    expect(prolonged!.expiresAt.getTime()).toBeGreaterThan(begun!.expiresAt.getTime() + 50_000);
    const other = beginMaintenance(queries, { ...request, maintenanceId: id(2) });
    await expect(other).rejects.toMatchObject({ code: 'lease-held', message: expect.stringContaining('host-a') });
    await endMaintenance(queries, id(2));
    expect(await readMaintenance(queries)).toBeDefined();
    await endMaintenance(queries, id(1));
    expect(await readMaintenance(queries)).toBeUndefined();
  });

  it('ends by itself, so that a crash leaves nobody stopped', async () => {
    const { queries } = (await migratedDatabase()).database;
    await beginMaintenance(queries, { ...request, ttlMs: 200 });
    await sleep(300);
    expect(await readMaintenance(queries)).toBeUndefined();
    expect(await prolongMaintenance(queries, id(1), 60_000)).toBeUndefined();
    await beginMaintenance(queries, { ...request, maintenanceId: id(2) });
    expect(await readMaintenance(queries)).toMatchObject({ maintenanceId: id(2) });
  });
});

describe('runs', () => {
  const begin = { kind: 'backup', cause: 'schedule', holder: 'host-a' } as const;

  it('show the newest of each kind and the newest that succeeded', async () => {
    const { queries } = (await migratedDatabase()).database;
    const first = await recordRunBegin(queries, begin, ports);
    await recordRunEnd(
      queries,
      first,
      { outcome: 'succeeded', backupId: '20261122T000000Z-k3f9q2', details: { rows: 3 } },
      ports,
    );
    const second = await recordRunBegin(queries, { ...begin, cause: 'manual' }, ports);
    await recordRunEnd(
      queries,
      second,
      { outcome: 'failed', error: { code: 'no-space', message: 'disk full' } },
      ports,
    );
    const { backup, drill } = await lastRuns(queries);
    expect(backup.newest).toMatchObject({
      outcome: 'failed',
      cause: 'manual',
      error: { code: 'no-space', message: 'disk full' },
    });
    expect(backup.newestSucceeded).toMatchObject({
      runId: first,
      backupId: '20261122T000000Z-k3f9q2',
      details: { rows: 3 },
    });
    expect(drill).toEqual({ newest: undefined, newestSucceeded: undefined });
    expect(await listRuns(queries, { kind: 'backup', cause: 'schedule' })).toHaveLength(1);
  });

  it('become interrupted when the next of their kind begins, not by another kind', async () => {
    const { queries } = (await migratedDatabase()).database;
    const killed = await recordRunBegin(queries, begin, ports);
    await recordRunBegin(queries, { ...begin, kind: 'drill' }, ports);
    expect((await listRuns(queries, { kind: 'backup' }))[0]).toMatchObject({ runId: killed, outcome: 'running' });
    await recordRunBegin(queries, begin, ports);
    const outcomes = (await listRuns(queries, { kind: 'backup' })).map((run) => run.outcome);
    expect(outcomes).toEqual(['running', 'interrupted']);
  });

  it('do not grow without end', async () => {
    const { queries } = (await migratedDatabase()).database;
    const old = Array.from({ length: 1005 }, (_, index) => ({
      run_id: id(index + 1),
      kind: 'verify' as const,
      cause: 'manual' as const,
      holder: 'host-a',
      outcome: 'succeeded' as const,
      details: '{}',
      began_at: new Date(index * 1000),
    }));
    await tablesOf(queries).insertInto('operation_runs').values(old).execute();
    await recordRunBegin(queries, { ...begin, kind: 'verify' }, ports);
    const kept = await listRuns(queries, { kind: 'verify', limit: 5000 });
    expect(kept).toHaveLength(1000);
    expect(kept.at(-1)?.beganAt).toEqual(new Date(6 * 1000));
  });
});

describe('restore records', () => {
  const record: RestoreRecord = {
    restoreId: '20261122T000000Z-k3f9q2',
    backupId: '20261121T000000Z-aaaaaa',
    backupSequence: 7,
    state: 'prepared',
    incarnation: { number: 2, random: '0123456789abcdef' },
    begunBy: 'host-a',
    begunAt: new Date('2026-11-22T00:00:00Z'),
    endedAt: null,
    safetyBackupId: null,
    beforeDatabase: 'malbork_before_20261122t000000z_k3f9q2',
    replacedIncarnation: { number: 1, random: 'fedcba9876543210' },
    replacedAudit: { position: 4711, hash: 'a'.repeat(64) },
    cleanedUpAt: null,
  };

  it('come back as written, newest first, and take their changes', async () => {
    const { queries } = (await migratedDatabase()).database;
    const older = { ...record, restoreId: '20251122T000000Z-k3f9q2', replacedIncarnation: null, replacedAudit: null };
    await recordRestore(queries, older);
    await recordRestore(queries, record);
    const endedAt = new Date('2026-11-22T00:05:00Z');
    await updateRestore(queries, record.restoreId, { state: 'swapped', endedAt });
    expect(await readRestore(queries, record.restoreId)).toEqual({ ...record, state: 'swapped', endedAt });
    expect((await listRestores(queries)).map((each) => each.restoreId)).toEqual([record.restoreId, older.restoreId]);
  });

  it('cannot be changed in a database that another restore made', async () => {
    const { queries } = (await migratedDatabase()).database;
    const changing = updateRestore(queries, record.restoreId, { state: 'complete' });
    await expect(changing).rejects.toMatchObject({ code: 'not-found' });
  });
});
