import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { acquireDataDirectory } from '#adapters/data-directory/owner-lock.ts';
import { startEmbedded } from '#adapters/embedded-postgresql/start-embedded.ts';
import { connectPostgresql } from '#adapters/postgresql/postgresql-server.ts';
import { openRowWriter } from '#adapters/postgresql/row-writer.ts';
import { cleanUpRestore, leftDatabases } from '#operations/clean-up-restore.ts';
import { createBackup } from '#operations/create-backup.ts';
import { openCluster, openOrCreateCluster } from '#operations/open-cluster.ts';
import { restore } from '#operations/restore.ts';
import type { Database } from '#ports/database.ts';
import type { StartWorker } from '#pipeline/worker-protocol.ts';
import { dumpDatabase } from '../fixtures/dump.ts';
import { makeContext, makeHost, temporaryDirectory, type TestHost } from '../fixtures/host.ts';
import { listedBackups } from '../fixtures/repository.ts';
import { confirmed } from '../fixtures/restoring.ts';
import { addUsers } from '../fixtures/rows.ts';
import { localWorkers, pausedReaders } from '../fixtures/workers.ts';

/** A host with a server of its own, which a test can stop and start again. */
async function hostWithServer() {
  const directory = temporaryDirectory();
  const lock = acquireDataDirectory(directory, 'test');
  const options = { directory: join(directory, 'postgres'), liveName: 'malbork', lock, durable: true };
  let embedded = await startEmbedded(options);
  const connected = async (): Promise<TestHost> => {
    const server = await connectPostgresql({ server: embedded.connection, location: embedded.location });
    return { ...(await makeHost({ directory })), server };
  };
  onTestFinished(async () => {
    await embedded.stop();
    lock.release();
  });
  const stop = (): Promise<void> => embedded.stop();
  const startAgain = async (): Promise<TestHost> => {
    embedded = await startEmbedded(options);
    return await connected();
  };
  return { host: await connected(), stop, startAgain };
}

describe('a server that stops', () => {
  it('in the middle of a backup lists nothing, in the middle of a restore loses nothing', async () => {
    const { host, stop, startAgain } = await hostWithServer();
    const { cluster } = await openOrCreateCluster(makeContext(), host);
    await addUsers(cluster.database, 12);
    const { startWorker, waiting, go } = pausedReaders();
    const backup = createBackup(makeContext({ startWorker }), cluster, { kind: 'manual' });
    await Promise.race([waiting, backup]);
    await stop();
    go();
    await expect(backup).rejects.toMatchObject({ code: 'database-unreachable', exitCode: 14 });
    expect(await listedBackups(host, cluster.keyring)).toEqual([]);

    const again = await startAgain();
    const opened = await openCluster(makeContext(), again);
    await expireLease(opened.database);
    await createBackup(makeContext(), opened, { kind: 'manual' });
    await addUsers(opened.database, 2, 'later.example.org');
    const rows = await dumpDatabase(opened.database);
    expect(rows['users']).toHaveLength(14);

    const attempt = restore(makeContext({ startWorker: stopBeforeLoading(stop) }), again, {
      ...confirmed,
      safetyBackup: false,
    });
    await expect(attempt).rejects.toMatchObject({ code: 'database-unreachable', exitCode: 14 });

    const last = await startAgain();
    const live = await openCluster(makeContext(), last);
    expect(await dumpDatabase(live.database)).toEqual(rows);
    // Nobody could drop it; cleanup does.
    const left = await leftDatabases(last.server);
    expect(left).toMatchObject([{ role: 'staging' }]);
    await expireLease(live.database);
    await cleanUpRestore(makeContext(), live, left);
    expect(await leftDatabases(last.server)).toEqual([]);
    await live.database.close();
  });
});

/** What time does to the lease of a holder that lost its database. */
async function expireLease(database: Database): Promise<void> {
  await database.runScript(`UPDATE leases SET expires_at = now() - INTERVAL '1 second' WHERE holder = 'test'`);
}

function stopBeforeLoading(stop: () => Promise<void>): StartWorker {
  return localWorkers({
    openWriter: async (connection) => {
      const writer = await openRowWriter(connection);
      await stop();
      return writer;
    },
  });
}
