import { sql } from 'kysely';
import { describe, expect, it } from 'vitest';
import { openRowReader } from '#adapters/postgresql/row-reader.ts';
import { openRowWriter } from '#adapters/postgresql/row-writer.ts';
import { createBackup } from '#operations/create-backup.ts';
import { restore } from '#operations/restore.ts';
import { stagingPrefix } from '#model/restore-names.ts';
import { readCluster } from '#store/cluster.ts';
import { acquireLease } from '#store/leases.ts';
import { readMaintenance } from '#store/maintenance.ts';
import { migrate } from '#store/migrate.ts';
import { makeCluster, type TestCluster } from '../fixtures/cluster.ts';
import { dumpDatabase } from '../fixtures/dump.ts';
import { abortedContext, makeContext, type TestHost } from '../fixtures/host.ts';
import { confirmed } from '../fixtures/restoring.ts';
import { addSettings, addUsers, terminateSessions } from '../fixtures/rows.ts';
import { localWorkers, watchedThreads } from '../fixtures/workers.ts';

const withoutSafety = { ...confirmed, safetyBackup: false };

/** A backup, and rows written since, which a failing restore must not touch. */
async function backedUpCluster() {
  const made = await makeCluster();
  await addSettings(made.cluster.database, 50);
  await createBackup(made.context, made.cluster, { kind: 'manual' });
  await addUsers(made.cluster.database, 3);
  const identity = await made.host.server.databaseIdentity(made.host.server.liveName);
  return { ...made, identity, rows: await dumpDatabase(made.cluster.database) };
}

async function expectUntouched({ host, cluster, identity, rows }: Awaited<ReturnType<typeof backedUpCluster>>) {
  expect(await host.server.databaseIdentity(host.server.liveName)).toBe(identity);
  expect(await dumpDatabase(cluster.database)).toEqual(rows);
  expect(await stagingDatabases(host)).toEqual([]);
  expect(await readMaintenance(cluster.database.queries)).toBeUndefined();
  const lease = await acquireLease(
    cluster.database,
    { name: 'operation', holder: 'test', ttlMs: 30_000 },
    makeContext(),
  );
  await lease.release();
}

const stagingDatabases = (host: TestHost): Promise<string[]> =>
  host.server.databaseNames(stagingPrefix(host.server.liveName));

/** Runs `act` once, when the first rows are about to be loaded. */
function actBeforeLoading(act: () => Promise<void>) {
  let acted = false;
  return localWorkers({
    openWriter: async (connection) => {
      const writer = await openRowWriter(connection);
      if (!acted) await act();
      acted = true;
      return writer;
    },
  });
}

describe('an interrupted restore', () => {
  it('leaves the live database as it was, whenever that is', async () => {
    const made = await backedUpCluster();
    const points = [
      'restore.safety-backup-taken',
      'restore.chunk-loaded',
      'restore.indexes-attached',
      'restore.prepared',
    ] as const;
    const phases = ['looking at the repository', 'creating the schema', 'loading rows', 'asking the servers'];
    for (const moment of [...phases.map((phase) => ({ phase })), ...points.map((point) => ({ point }))]) {
      const { context, reason, signal } = abortedContext(moment);

      await expect(restore(context, made.host, withoutSafety), JSON.stringify(moment)).rejects.toBe(reason);

      expect(signal.aborted).toBe(true);
      await expectUntouched(made);
    }
  });

  it('does not wait for a statement that takes long', async () => {
    const made = await backedUpCluster();
    const blocker = Promise.withResolvers<void>();
    let held: Promise<unknown> | undefined;
    const startWorker = actBeforeLoading(async () => {
      const [name] = await stagingDatabases(made.host);
      const staging = made.host.server.open(name!, { connections: 1 });
      const locked = Promise.withResolvers<void>();
      // No index can be attached to the table as long as somebody reads it.
      held = staging
        .transaction(async (queries) => {
          await sql`LOCK TABLE users IN ACCESS SHARE MODE`.execute(queries);
          locked.resolve();
          await blocker.promise;
        })
        .catch(() => 'ended')
        .then(() => staging.close());
      await locked.promise;
    });
    const { context, reason } = abortedContext({ phase: 'building indexes' }, { startWorker });

    await expect(restore(context, made.host, withoutSafety)).rejects.toBe(reason);

    expect(held).toBeDefined();
    blocker.resolve();
    await held;
    await expectUntouched(made);
  });

  it('ends its threads and gives back the lease', async () => {
    const made = await backedUpCluster();
    const { startWorker, started } = watchedThreads();
    const { context, reason } = abortedContext({ point: 'restore.chunk-loaded' }, { startWorker });

    await expect(restore(context, made.host, withoutSafety)).rejects.toBe(reason);

    expect(started.map(({ threadId }) => threadId)).toEqual(started.map(() => -1));
    await expectUntouched(made);
    await expect(createBackup(makeContext(), made.cluster, { kind: 'manual' })).resolves.toMatchObject({ sequence: 2 });
  });
});

describe('a restore whose database fails', () => {
  it('leaves the live database as it was when the connections to the new one end', async () => {
    const made = await backedUpCluster();
    let ended = 0;
    const startWorker = actBeforeLoading(async () => {
      for (const name of await stagingDatabases(made.host))
        ended += await terminateSessions(made.cluster.database, name);
    });

    await expect(restore(makeContext({ startWorker }), made.host, confirmed)).rejects.toMatchObject({
      code: 'database-unreachable',
      exitCode: 14,
    });

    expect(ended).toBeGreaterThan(0);
    await expectUntouched(made);
  });

  it('fails where the database takes other rows than it was given', async () => {
    const made = await backedUpCluster();
    let lost = 0;
    const startWorker = localWorkers({
      openWriter: async (connection) => {
        const writer = await openRowWriter(connection);
        return {
          close: () => writer.close(),
          load: async (table, columns, rows) => {
            // The rows may lie in two chunks: where they are cut depends on a key that is new in each cluster.
            if (table !== 'settings' || lost > 0) return await writer.load(table, columns, rows);
            lost += 1;
            return (
              1 + (await writer.load(table, columns, rows.subarray(0, Buffer.from(rows).lastIndexOf(0x0a, -2) + 1)))
            );
          },
        };
      },
    });

    const attempt = restore(makeContext({ startWorker }), made.host, confirmed);

    await expect(attempt).rejects.toMatchObject({
      code: 'rows-differ',
      exitCode: 31,
      message: expect.stringMatching(/"settings" has 49 rows after loading; backup .* holds 50/),
    });
    expect(lost).toBe(1);
    await expectUntouched(made);
  });
});

describe('a restore whose live database changes meanwhile', () => {
  it('replaces nothing when another database has its name', async () => {
    const { host, ...made } = await backedUpCluster();
    const startWorker = actBeforeLoading(() => replaceLive({ host, ...made }));

    await expect(restore(makeContext({ startWorker }), host, withoutSafety)).rejects.toMatchObject({
      code: 'lease-held',
      exitCode: 13,
    });

    await expectReplacement(host, made.identity);
  });

  it('replaces nothing when the servers may have served again since they paused', async () => {
    const made = await backedUpCluster();
    let backups = 0;
    const startWorker = localWorkers({
      openReader: async (...parameters) => {
        backups += 1;
        // The second safety backup is the one taken while the servers pause.
        if (backups === 2)
          await made.cluster.database.runScript(`UPDATE maintenance SET expires_at = now() - INTERVAL '1 second'`);
        return await openRowReader(...parameters);
      },
    });

    await expect(restore(makeContext({ startWorker }), made.host, confirmed)).rejects.toMatchObject({
      code: 'lease-held',
      message: expect.stringContaining('ran out before the swap'),
    });

    expect(backups).toBe(2);
    await expectUntouched(made);
  });

  it('fails with a code of its own where nothing better is known, before it replaced anything', async () => {
    const made = await backedUpCluster();
    await made.cluster.database.runScript('ALTER TABLE leases RENAME TO leases_aside');

    await expect(restore(makeContext(), made.host, withoutSafety)).rejects.toMatchObject({
      code: 'restore-failed',
      exitCode: 30,
    });

    await made.cluster.database.runScript('ALTER TABLE leases_aside RENAME TO leases');
    await expectUntouched(made);
  });

  it('replaces nothing when a cluster was made in the empty database meanwhile', async () => {
    const { host, cluster } = await backedUpCluster();
    await cluster.database.close();
    await host.server.dropDatabase(host.server.liveName);
    await host.server.createDatabase(host.server.liveName);
    let other: TestCluster | undefined;
    const startWorker = actBeforeLoading(async () => {
      other = await makeCluster({ liveName: host.server.liveName });
    });

    await expect(restore(makeContext({ startWorker }), host, confirmed)).rejects.toMatchObject({
      code: 'lease-held',
      exitCode: 13,
      message: expect.stringContaining('holds a cluster now'),
    });

    await expectReplacement(host, undefined);
    expect((await readCluster(other!.cluster.database.queries))?.clusterId).toBe(other!.cluster.keyring.clusterId);
  });

  it('keeps a cluster that was made in the empty database in the last moment', async () => {
    const { host, cluster } = await backedUpCluster();
    await cluster.database.close();
    await host.server.dropDatabase(host.server.liveName);
    await host.server.createDatabase(host.server.liveName);
    let other: TestCluster | undefined;
    const server: TestHost['server'] = {
      ...host.server,
      swap: async (names) => {
        other = await makeCluster({ liveName: host.server.liveName });
        await host.server.swap(names);
      },
    };

    await restore(makeContext(), { ...host, server }, confirmed);

    const [before] = await host.server.databaseNames(`${host.server.liveName}_before`);
    const kept = host.server.open(before!);
    expect((await readCluster(kept.queries))?.clusterId).toBe(other!.cluster.keyring.clusterId);
    await kept.close();
  });

  it('replaces nothing when it changes in the last moment', async () => {
    const { host, ...made } = await backedUpCluster();
    const server: TestHost['server'] = {
      ...host.server,
      swap: async (names) => {
        await replaceLive({ host, ...made });
        await host.server.swap(names);
      },
    };

    await expect(restore(makeContext(), { ...host, server }, withoutSafety)).rejects.toMatchObject({
      code: 'lease-held',
      exitCode: 13,
    });

    await expectReplacement(host, made.identity);
  });

  it('replaces nothing when somebody else took the lease', async () => {
    const made = await backedUpCluster();
    const startWorker = actBeforeLoading(async () => {
      await made.cluster.database.runScript(
        `UPDATE leases SET expires_at = now() - INTERVAL '1 second' WHERE name = 'operation'`,
      );
      const lease = await acquireLease(
        made.cluster.database,
        { name: 'operation', holder: 'thief', ttlMs: 30_000 },
        makeContext(),
      );
      await lease.release();
    });

    await expect(restore(makeContext({ startWorker }), made.host, withoutSafety)).rejects.toMatchObject({
      code: 'lease-held',
      exitCode: 13,
    });

    await expectUntouched(made);
  });

  it('replaces nothing when a database came up where there was none', async () => {
    const { host, cluster } = await backedUpCluster();
    await cluster.database.close();
    await host.server.dropDatabase(host.server.liveName);
    const startWorker = actBeforeLoading(() => host.server.createDatabase(host.server.liveName));

    await expect(restore(makeContext({ startWorker }), host, confirmed)).rejects.toMatchObject({
      code: 'lease-held',
      exitCode: 13,
    });

    await expectReplacement(host, undefined);
  });
});

async function replaceLive({ host, cluster }: Pick<TestCluster, 'host' | 'cluster'>): Promise<void> {
  await cluster.database.close();
  await host.server.dropDatabase(host.server.liveName);
  await host.server.createDatabase(host.server.liveName);
  const database = host.server.open(host.server.liveName);
  await migrate(database, { to: 1 });
  await database.close();
}

async function expectReplacement(host: TestHost, identityBefore: string | undefined): Promise<void> {
  const identity = await host.server.databaseIdentity(host.server.liveName);
  expect(identity).toBeDefined();
  expect(identity).not.toBe(identityBefore);
  expect(await stagingDatabases(host)).toEqual([]);
  expect(await host.server.databaseNames(`${host.server.liveName}_before`)).toEqual([]);
}
