import { sql } from 'kysely';
import { describe, expect, it } from 'vitest';
import { createBackup } from '#operations/create-backup.ts';
import { acquireLease } from '#store/leases.ts';
import { listRuns } from '#store/runs.ts';
import { makeCluster } from '../fixtures/cluster.ts';
import { abortedContext, makeContext } from '../fixtures/host.ts';
import { chunkObjects, listedBackups } from '../fixtures/repository.ts';
import { addSettings, busySessions } from '../fixtures/rows.ts';
import { pausedReaders, watchedThreads } from '../fixtures/workers.ts';

describe('an interrupted backup', () => {
  const phases = ['looking at the repository', 'reading rows', 'counting rows', 'confirming objects', 'reading back'];

  it.each(phases)('lists nothing and leaves nothing behind: %s', async (phase) => {
    const { cluster, host } = await makeCluster();
    await addSettings(cluster.database, 500);
    const { context, reason, signal } = abortedContext({ phase });

    await expect(createBackup(context, cluster, { kind: 'manual' })).rejects.toBe(reason);

    expect(signal.aborted).toBe(true);
    expect(await listedBackups(host, cluster.keyring)).toEqual([]);
    await expect.poll(() => busySessions(cluster.database)).toEqual([]);
    expect((await listRuns(cluster.database.queries, { kind: 'backup' }))[0]).toMatchObject({ outcome: 'interrupted' });
    const left = chunkObjects(host);
    const next = await createBackup(makeContext(), cluster, { kind: 'manual' });
    expect(next).toMatchObject({
      sequence: 1,
      newChunks: next.totalChunks - left.length,
      verified: { level: 'new-chunks' },
    });
    expect(chunkObjects(host)).toEqual(expect.arrayContaining(left));
    expect(chunkObjects(host)).toHaveLength(next.totalChunks);
  });

  it.each(['reading rows', 'reading back'])('ends its threads: %s', async (phase) => {
    const { cluster, host } = await makeCluster();
    const { startWorker, started } = watchedThreads();
    const { context, reason } = abortedContext({ phase }, { startWorker });

    await expect(createBackup(context, cluster, { kind: 'manual' })).rejects.toBe(reason);

    expect(started.length).toBeGreaterThan(0);
    expect(started.map(({ threadId }) => threadId)).toEqual(started.map(() => -1));
    expect(await listedBackups(host, cluster.keyring)).toEqual([]);
    await expect.poll(() => busySessions(cluster.database)).toEqual([]);
  });

  it('does not wait for a table that somebody else has locked', async () => {
    const { cluster, host } = await makeCluster();
    const locked = Promise.withResolvers<void>();
    const over = Promise.withResolvers<void>();
    const other = host.server.open(host.server.liveName, { connections: 1 });
    const locking = other.transaction(async (queries) => {
      await sql`LOCK TABLE users IN ACCESS EXCLUSIVE MODE`.execute(queries);
      locked.resolve();
      await over.promise;
    });
    await locked.promise;
    const stop = new AbortController();
    const reason = new Error('stopped by the test');
    const backup = createBackup(makeContext({ signal: stop.signal }), cluster, { kind: 'manual' });
    const waiting = async (): Promise<number> =>
      (
        await sql`SELECT 1 FROM pg_stat_activity WHERE datname = ${cluster.database.name} AND wait_event_type = 'Lock'`.execute(
          cluster.database.queries,
        )
      ).rows.length;
    await expect.poll(waiting, { timeout: 20_000 }).toBe(1);
    stop.abort(reason);

    await expect(backup).rejects.toBe(reason);

    expect(await waiting()).toBe(0);
    over.resolve();
    await locking;
    await other.close();
    expect((await listRuns(cluster.database.queries, { kind: 'backup' }))[0]).toMatchObject({ outcome: 'interrupted' });
    await expect(createBackup(makeContext(), cluster, { kind: 'manual' })).resolves.toMatchObject({ sequence: 1 });
  });

  it('is interrupted in the middle of its rows', async () => {
    const { cluster, host } = await makeCluster();
    await addSettings(cluster.database, 3000);
    const { context, reason } = abortedContext({ point: 'backup.chunk-stored' });

    await expect(createBackup(context, cluster, { kind: 'manual' })).rejects.toBe(reason);

    expect(await listedBackups(host, cluster.keyring)).toEqual([]);
    expect(chunkObjects(host).length).toBeGreaterThan(0);
    await expect.poll(() => busySessions(cluster.database)).toEqual([]);
  });
});

describe('two backups at once', () => {
  it('are one backup: the second hears who holds the lease, the first ends well', async () => {
    const { cluster, host } = await makeCluster();
    const { startWorker, waiting, go } = pausedReaders();
    const first = createBackup(makeContext({ startWorker, holder: 'host-a (process 1)' }), cluster, { kind: 'manual' });
    await Promise.race([waiting, first]);

    const second = createBackup(makeContext({ holder: 'host-a (process 2)' }), cluster, { kind: 'scheduled' });

    await expect(second).rejects.toMatchObject({
      code: 'lease-held',
      exitCode: 13,
      message: expect.stringContaining('host-a (process 1)'),
    });
    go();
    const { id } = await first;
    expect(await listedBackups(host, cluster.keyring)).toEqual([id]);
    await expect(createBackup(makeContext(), cluster, { kind: 'scheduled' })).resolves.toMatchObject({ sequence: 2 });
  });

  it('never list both: whoever lost the lease in the middle lists nothing', async () => {
    const { cluster, host } = await makeCluster();
    const { startWorker, waiting, go } = pausedReaders();
    const slow = createBackup(makeContext({ startWorker, holder: 'slow' }), cluster, { kind: 'manual' });
    await Promise.race([waiting, slow]);
    await sql`UPDATE leases SET expires_at = now() - INTERVAL '1 second' WHERE name = 'operation'`.execute(
      cluster.database.queries,
    );
    const lease = await acquireLease(
      cluster.database,
      { name: 'operation', holder: 'faster', ttlMs: 30_000 },
      makeContext(),
    );
    go();

    await expect(slow).rejects.toMatchObject({
      code: 'lease-held',
      exitCode: 13,
      message: expect.stringContaining('faster'),
    });

    expect(await listedBackups(host, cluster.keyring)).toEqual([]);
    expect(chunkObjects(host).length).toBeGreaterThan(0);
    // The loser gives back nothing that is not its own.
    await expect(lease.assertHeld()).resolves.toBeUndefined();
    await lease.release();
  });
});
