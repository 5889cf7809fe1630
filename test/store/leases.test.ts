import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { Database } from '#ports/database.ts';
import { forgetAbandonedHolders } from '#store/abandoned-holders.ts';
import { beginClusterLife, insertCluster, readCluster } from '#store/cluster.ts';
import { holdLease, type Lease } from '#store/held-lease.ts';
import { readLease, requireLease, takeLease, type LeaseToken } from '#store/lease-rows.ts';
import { acquireLease } from '#store/leases.ts';
import { tablesOf, type Queries } from '#store/tables.ts';
import { migratedDatabase, ports } from './store-database.ts';

const incarnation = { number: 3, random: '0123456789abcdef' };
const minute = { name: 'operation', ttlMs: 60_000 };

async function clusterDatabase() {
  const opened = await migratedDatabase();
  await insertCluster(opened.database.queries, {
    clusterId: '01890a5d-ac96-774b-bcce-b302099a8057',
    state: 'ready',
    incarnation,
    createdAt: new Date('2026-11-22T00:00:00Z'),
  });
  return opened;
}

async function acquire(database: Database, holder: string, ttlMs = 60_000): Promise<Lease> {
  const lease = await acquireLease(database, { name: 'operation', holder, ttlMs }, ports);
  onTestFinished(() => lease.release());
  return lease;
}

async function take(database: Database, holder: string, ttlMs: number): Promise<LeaseToken> {
  return await database.transaction((queries) => takeLease(queries, { name: 'operation', holder, ttlMs }));
}

async function expireLease(queries: Queries): Promise<void> {
  await tablesOf(queries)
    .updateTable('leases')
    .set({ expires_at: new Date(0) })
    .execute();
}

/** In one step, so that no renewal comes between. */
async function takeOver(database: Database, holder: string): Promise<void> {
  await database.transaction(async (queries) => {
    await expireLease(queries);
    await takeLease(queries, { name: 'operation', holder, ttlMs: 60_000 });
  });
}

const writeUnder = (database: Database, token: LeaseToken, name: string): Promise<void> =>
  database.transaction(async (queries) => {
    await requireLease(queries, token);
    await tablesOf(queries).insertInto('write_locks').values({ name, taken: 0 }).execute();
  });

describe('acquireLease', () => {
  it('gives a free lease to one taker and names it to the next', async () => {
    const { database, another } = await clusterDatabase();
    const lease = await acquire(database, 'host-a');
    expect(lease.token).toEqual({ name: 'operation', incarnation, counter: 1 });
    const message = expect.stringMatching(/^host-a holds the lease "operation" until 20/);
    await expect(acquire(another(), 'host-b')).rejects.toMatchObject({ code: 'lease-held', message });
    expect((await readLease(database.queries, 'operation'))?.holder).toBe('host-a');
  });

  it('gives the lease to exactly one of several that ask at the same moment', async () => {
    const { database, another } = await clusterDatabase();
    const takers = [database, another(), another(), another()];
    const results = await Promise.allSettled(takers.map((each, index) => acquire(each, `host-${index}`)));
    const refusals = results.filter((result) => result.status === 'rejected').map((result) => result.reason as unknown);
    expect(refusals).toHaveLength(3);
    for (const refusal of refusals) expect(refusal).toMatchObject({ code: 'lease-held' });
  });

  it('waits for a lease that is given back within the time to wait', async () => {
    const { database, another } = await clusterDatabase();
    const first = await acquire(database, 'host-a');
    const second = acquireLease(another(), { ...minute, holder: 'host-b', waitMs: 20_000 }, ports);
    await sleep(100);
    await first.release();
    const lease = await second;
    expect(lease.token.counter).toBe(2);
    await lease.release();
    expect(await readLease(database.queries, 'operation')).toBeUndefined();
  });

  it('works before there is a cluster', async () => {
    const { database } = await migratedDatabase();
    const lease = await acquire(database, 'host-a');
    expect(lease.token.incarnation).toEqual({ number: 0, random: '0000000000000000' });
    expect(await lease.assertHeld()).toBeUndefined();
  });

  it('keeps leases of different names apart', async () => {
    const { database } = await clusterDatabase();
    await acquire(database, 'host-a');
    const drill = await acquireLease(database, { ...minute, name: 'drill', holder: 'host-b' }, ports);
    expect(drill.token).toEqual({ name: 'drill', incarnation, counter: 1 });
    await drill.release();
  });
});

describe('a held lease', () => {
  it('outlives its time because it is renewed', async () => {
    const { database, another } = await clusterDatabase();
    const lease = await acquire(database, 'host-a', 6000);
    await sleep(9000);
    expect(await lease.assertHeld()).toBeUndefined();
    await expect(acquire(another(), 'host-b')).rejects.toMatchObject({ code: 'lease-held' });
  });

  it('is free again once released, and releasing it twice harms nobody', async () => {
    const { database, another } = await clusterDatabase();
    const first = await acquire(database, 'host-a');
    await first.release();
    await expect(first.assertHeld()).rejects.toMatchObject({ code: 'lease-held' });
    const second = await acquire(another(), 'host-b');
    await first.release();
    expect(await second.assertHeld()).toBeUndefined();
  });

  it('is lost, and says so, when another took it over', async () => {
    const { database } = await clusterDatabase();
    const lease = await acquire(database, 'host-a');
    await takeOver(database, 'host-b');
    const message = expect.stringContaining('it is now held by host-b');
    await expect(lease.assertHeld()).rejects.toMatchObject({ code: 'lease-held', message });
    expect(lease.lost.aborted).toBe(true);
  });

  it('aborts its signal when the renewal finds that another took it over', async () => {
    const { database } = await clusterDatabase();
    const lease = await acquire(database, 'host-a', 3000);
    await takeOver(database, 'host-b');
    await expect.poll(() => lease.lost.aborted, { timeout: 10_000 }).toBe(true);
    expect(lease.lost.reason).toMatchObject({ code: 'lease-held' });
    await lease.release();
    expect((await readLease(database.queries, 'operation'))?.holder).toBe('host-b');
  });

  it('counts as lost once its time is over without a renewal that succeeded', async () => {
    const { database, another } = await clusterDatabase();
    const ours = another();
    const lease = await acquire(ours, 'host-a', 500);
    await ours.close();
    await expect.poll(() => lease.lost.aborted, { timeout: 5000 }).toBe(true);
    await lease.release();
    await expect.poll(() => readLease(database.queries, 'operation'), { timeout: 5000 }).toBeUndefined();
  });

  it('is not ours in a database of another incarnation, even with the same counter', async () => {
    const { database } = await clusterDatabase();
    const lease = await acquire(database, 'host-a');
    await lease.release();
    const row = await readCluster(database.queries);
    await beginClusterLife(database.queries, { ...row!, incarnation: { number: 4, random: 'f'.repeat(16) } });
    await tablesOf(database).updateTable('leases').set({ counter: 0 }).execute();
    await take(database, 'host-b', 60_000);
    const stale = holdLease(database, lease.token, 60_000);
    await expect(stale.assertHeld()).rejects.toMatchObject({ code: 'lease-held' });
    await stale.release();
    expect((await readLease(database.queries, 'operation'))?.holder).toBe('host-b');
  });
});

describe('forgetAbandonedHolders', () => {
  it('frees the lease of a holder that cannot be alive, and fences one that was merely stopped', async () => {
    const { database, another } = await clusterDatabase();
    const stopped = await acquire(database, 'host-a');
    await another().transaction(forgetAbandonedHolders);
    const successor = await acquire(another(), 'host-b');
    expect(successor.token.counter).toBe(2);
    await expect(writeUnder(database, stopped.token, 'fenced')).rejects.toMatchObject({ code: 'lease-held' });
    await stopped.release();
    expect(await successor.assertHeld()).toBeUndefined();
  });
});

describe('the fencing token', () => {
  it('never repeats, whether leases are released or expire', async () => {
    const { database } = await clusterDatabase();
    const counters: number[] = [];
    for (const holder of ['host-a', 'host-b', 'host-c']) {
      counters.push((await take(database, holder, 1)).counter);
      await sleep(10);
      const lease = await acquire(database, holder);
      counters.push(lease.token.counter);
      await lease.release();
    }
    expect(counters).toEqual([1, 2, 3, 4, 5, 6]);
  });

  it('keeps a holder that was stopped and comes back from writing anything', async () => {
    const { database, another } = await clusterDatabase();
    const stopped = await take(database, 'host-a', 1);
    await sleep(10);
    await expect(writeUnder(database, stopped, 'expired')).rejects.toMatchObject({ code: 'lease-held' });
    const successor = await take(another(), 'host-b', 60_000);
    await expect(writeUnder(database, stopped, 'fenced')).rejects.toMatchObject({ code: 'lease-held' });
    await writeUnder(database, successor, 'successor');
    const names = await tablesOf(database).selectFrom('write_locks').select('name').orderBy('name').execute();
    expect(names.map((row) => row.name)).toEqual(['audit-log', 'successor']);
  });

  it('holds back whoever takes an expired lease over until the holder’s last transaction has ended', async () => {
    const { database, another } = await clusterDatabase();
    const token = await take(database, 'host-a', 60_000);
    const order: string[] = [];
    let successor: Promise<unknown> = Promise.resolve();
    await database.transaction(async (queries) => {
      await requireLease(queries, token);
      successor = take(another(), 'host-b', 60_000).then(({ counter }) => order.push(`taken ${counter}`));
      await sleep(500);
      order.push('written');
      await expireLease(queries);
    });
    await successor;
    expect(order).toEqual(['written', 'taken 2']);
  });
});
