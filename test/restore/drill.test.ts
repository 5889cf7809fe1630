import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { acquireOwnerLock } from '#adapters/data-directory/owner-lock.ts';
import { createScratchServers } from '#adapters/embedded-postgresql/scratch-servers.ts';
import { connectPostgresql } from '#adapters/postgresql/postgresql-server.ts';
import { openRowWriter } from '#adapters/postgresql/row-writer.ts';
import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { createBackup } from '#operations/create-backup.ts';
import { runDrill } from '#operations/recorded-run.ts';
import { readCatalog } from '#operations/read-catalog.ts';
import type { ScratchServers } from '#ports/scratch-server.ts';
import { listRuns } from '#store/runs.ts';
import { makeCluster, type TestCluster } from '../fixtures/cluster.ts';
import { abortedContext, makeContext, temporaryDirectory } from '../fixtures/host.ts';
import { damage, objectsOfTable } from '../fixtures/repository.ts';
import { addSettings, addUsers } from '../fixtures/rows.ts';
import { freshDatabaseName, startTestServer } from '../fixtures/postgresql.ts';
import { localWorkers } from '../fixtures/workers.ts';

async function newestEntry({ host, cluster }: TestCluster) {
  return (await readCatalog(host.store, cluster.keyring)).backups[0]!.entry;
}

describe('a drill', () => {
  it('restores into a private server, compares every row, is recorded, and leaves nothing behind', async () => {
    const made = await makeCluster();
    const { context, cluster } = made;
    await addSettings(cluster.database, 100);
    const backup = await createBackup(context, cluster, { kind: 'manual' });
    const directory = join(temporaryDirectory(), 'scratch');
    const scratch = createScratchServers({
      directory,
      liveName: 'drill',
      acquire: (path) => acquireOwnerLock(path, 'test'),
      connect: (connection, location) => connectPostgresql({ server: connection, location }),
      ...context,
    });

    const result = await runDrill(context, cluster, scratch, backup.id, 'manual');

    expect(result).toMatchObject({
      id: backup.id,
      tables: backup.tables,
      rows: backup.rows,
      logicalBytes: backup.logicalBytes,
    });
    const entry = await newestEntry(made);
    expect(entry.lastDrill).toMatchObject({ passed: true });
    expect(entry.lastDrill?.durationMs).toBeGreaterThan(0);
    expect(entry.verified).toMatchObject({ level: 'restored' });
    expect((await listRuns(cluster.database.queries, { kind: 'drill' }))[0]).toMatchObject({
      outcome: 'succeeded',
      backupId: backup.id,
    });
    expect(existsSync(directory) ? readdirSync(directory) : []).toEqual([]);
  });

  it('of a backup with a damaged chunk fails, is recorded as failed, and lets the next backup repair it', async () => {
    const made = await makeCluster();
    const { context, cluster, host } = made;
    await addUsers(cluster.database, 20);
    const backup = await createBackup(context, cluster, { kind: 'manual' });
    const users = await objectsOfTable(host, cluster.keyring, backup.id, 'users');
    damage(host, 'bit-flipped', users);
    const scratch = await databasesAsScratch();

    await expect(runDrill(context, cluster, scratch.servers, backup.id, 'schedule')).rejects.toMatchObject({
      code: 'damaged',
      exitCode: 20,
    });

    expect(await newestEntry(made)).toMatchObject({ verified: null, lastDrill: { passed: false } });
    expect((await listRuns(cluster.database.queries, { kind: 'drill' }))[0]).toMatchObject({
      outcome: 'failed',
      error: { code: 'damaged' },
    });
    expect(scratch.removed).toBe(1);
    const healing = makeContext();
    await createBackup(healing, cluster, { kind: 'manual' });
    expect(healing.notes.join()).toContain(`repaired: ${users[0]}`);
    await runDrill(context, cluster, scratch.servers, backup.id, 'schedule');
    const { backups } = await readCatalog(host.store, cluster.keyring);
    expect(backups.find(({ entry }) => entry.id === backup.id)?.entry.lastDrill).toMatchObject({ passed: true });
  });

  it('finds a row that came out changed although the counts agree', async () => {
    const made = await makeCluster();
    const { context, cluster } = made;
    await addUsers(cluster.database, 20);
    const backup = await createBackup(context, cluster, { kind: 'manual' });
    const scratch = await databasesAsScratch();
    let changed = 0;
    const startWorker = localWorkers({
      openWriter: async (connection) => {
        const writer = await openRowWriter(connection);
        return {
          close: () => writer.close(),
          load: (table, columns, rows) => {
            const text = Buffer.from(rows).toString('latin1');
            if (table !== 'users' || !text.includes('User 7\t')) return writer.load(table, columns, rows);
            changed += 1;
            return writer.load(table, columns, Buffer.from(text.replace('User 7\t', 'User 8\t'), 'latin1'));
          },
        };
      },
    });

    const attempt = runDrill({ ...context, startWorker }, cluster, scratch.servers, backup.id, 'manual');

    await expect(attempt).rejects.toMatchObject({
      code: 'rows-differ',
      exitCode: 31,
      message: expect.stringContaining('"users"'),
    });
    expect(changed).toBe(1);
    expect(await newestEntry(made)).toMatchObject({ verified: null, lastDrill: { passed: false } });
    expect(scratch.removed).toBe(1);
  });

  it('that outgrows its limit says so, and is no verdict on the backup', async () => {
    const made = await makeCluster();
    const { context, cluster } = made;
    const backup = await createBackup(context, cluster, { kind: 'manual' });
    const outgrown = new AbortController();
    const reason = new EnclaveManagerError('no-space', 'the scratch database outgrew its limit');
    const scratch = await databasesAsScratch(outgrown.signal);
    const crashPoints = { reach: (point: string) => point === 'restore.chunk-loaded' && outgrown.abort(reason) };

    const attempt = runDrill({ ...context, crashPoints }, cluster, scratch.servers, backup.id, 'manual');

    await expect(attempt).rejects.toMatchObject({ code: 'no-space', exitCode: 16 });
    expect(outgrown.signal.aborted).toBe(true);
    expect(await newestEntry(made)).toMatchObject({ verified: { level: 'new-chunks' }, lastDrill: null });
    expect(scratch.removed).toBe(1);
  });

  it('that is interrupted removes its server and records nothing', async () => {
    const made = await makeCluster();
    const backup = await createBackup(made.context, made.cluster, { kind: 'manual' });
    const scratch = await databasesAsScratch();
    const { context, reason } = abortedContext({ phase: 'comparing every row' });

    await expect(runDrill(context, made.cluster, scratch.servers, backup.id, 'manual')).rejects.toBe(reason);

    expect(scratch.removed).toBe(1);
    expect(await newestEntry(made)).toMatchObject({ lastDrill: null });
    expect((await listRuns(made.cluster.database.queries, { kind: 'drill' }))[0]).toMatchObject({
      outcome: 'interrupted',
    });
  });
});

/** Databases of the test's own server in place of private ones. */
async function databasesAsScratch(overLimit: AbortSignal = new AbortController().signal) {
  const { connection } = await startTestServer();
  const scratch = { removed: 0, servers: undefined as unknown as ScratchServers };
  scratch.servers = {
    start: async () => {
      const server = await connectPostgresql({ server: { ...connection, database: freshDatabaseName() } });
      const remove = async (): Promise<void> => {
        scratch.removed += 1;
        await server.dropDatabase(server.liveName);
        await server.close();
      };
      return { server, overLimit, remove };
    },
  };
  return scratch;
}
