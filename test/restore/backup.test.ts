import { mkdirSync, writeFileSync } from 'node:fs';
import { sql } from 'kysely';
import { describe, expect, it } from 'vitest';
import { openRowReader } from '#adapters/postgresql/row-reader.ts';
import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import type { Cluster } from '#operations/context.ts';
import { createBackup } from '#operations/create-backup.ts';
import { readCatalog } from '#operations/read-catalog.ts';
import { readManifest } from '#operations/read-manifest.ts';
import type { ObjectStore } from '#ports/object-store.ts';
import type { RowReader } from '#ports/row-transfer.ts';
import { loadMigrations } from '#store/migrations.ts';
import { listRuns } from '#store/runs.ts';
import { readSetting, saveSetting } from '#store/settings.ts';
import { dumpDatabase } from '../fixtures/dump.ts';
import { makeCluster } from '../fixtures/cluster.ts';
import { chunkObjects, listedBackups, objectFile, objectsOfTable, storeWith } from '../fixtures/repository.ts';
import { restoreInto } from '../fixtures/restoring.ts';
import { addAuditEvents, addSettings, addUsers, terminateSessions } from '../fixtures/rows.ts';
import { localWorkers, pausedReaders } from '../fixtures/workers.ts';

describe('what a backup stores', () => {
  it('is nothing new where nothing changed, and the neighbourhood of a change where something did', async () => {
    const { context, cluster, host } = await makeCluster();
    await addSettings(cluster.database, 6000);
    const first = await createBackup(context, cluster, { kind: 'manual' });
    expect(first.newChunks).toBe(first.totalChunks);
    expect(first.totalChunks).toBeGreaterThanOrEqual(3);

    const again = await createBackup(context, cluster, { kind: 'scheduled' });
    expect(again).toMatchObject({ sequence: 2, newChunks: 0, newBytes: 0, totalChunks: first.totalChunks });
    expect(again.verified).toMatchObject({ level: 'new-chunks', oldestReadAt: first.verified?.at });
    // However many backups name it, an object is in memory once.
    const [newest, oldest] = (await readCatalog(host.store, cluster.keyring)).backups;
    expect(newest?.objects).toHaveLength(first.totalChunks);
    newest?.objects.forEach((object, index) => expect(object).toBe(oldest?.objects[index]));

    await sql`UPDATE settings SET value = '"changed"' WHERE name = 'bulk-00003000'`.execute(cluster.database.queries);
    const changed = await createBackup(context, cluster, { kind: 'scheduled' });
    expect(changed.newChunks).toBeGreaterThanOrEqual(1);
    // The chunk that lost the row, its neighbour where the row was its border, and the last one, which got the row.
    expect(changed.newChunks).toBeLessThanOrEqual(4);

    await addSettings(cluster.database, 2000, 'more');
    const grown = await createBackup(context, cluster, { kind: 'scheduled' });
    // Of what was there only the last chunk grows.
    expect(grown.totalChunks - grown.newChunks).toBeGreaterThanOrEqual(changed.totalChunks - 1);
    expect(chunkObjects(host)).toHaveLength(first.newChunks + changed.newChunks + grown.newChunks);
  });

  it('extends the audit log by the events appended since', async () => {
    const { context, cluster, host } = await makeCluster();
    await addAuditEvents(cluster.database, 8000);
    const first = await createBackup(context, cluster, { kind: 'manual' });
    const before = await objectsOfTable(host, cluster.keyring, first.id, 'audit_events');
    expect(before.length).toBeGreaterThanOrEqual(2);
    await addAuditEvents(cluster.database, 10);

    const second = await createBackup(context, cluster, { kind: 'manual' });

    const after = await objectsOfTable(host, cluster.keyring, second.id, 'audit_events');
    expect(after.slice(0, before.length - 1)).toEqual(before.slice(0, -1));
    expect(second.newChunks).toBeLessThanOrEqual(2);
    expect(second.rows).toBe(first.rows + 10);
  });

  it('brings back rows with every kind of value', async () => {
    const { context, cluster, host } = await makeCluster();
    const { queries } = cluster.database;
    const nasty = [
      '',
      ' ',
      '\t',
      '\\',
      '\\N',
      '\\.',
      '\n',
      '\r\n',
      "'",
      '"',
      'ключ 鍵 🔑',
      '\u0001\u007f',
      'a\\tb',
      '%s',
    ];
    for (const [index, text] of nasty.entries()) {
      await sql`INSERT INTO tasks (task_id, type, status, subject, description, details, created_at)
        VALUES (gen_random_uuid(), 'RESTORE', 'PENDING', ${text}, ${text + text}, ${JSON.stringify({ index, text, deep: [null, 1e300, -0.5, { text }] })}, '0001-01-01 00:00:00Z')`.execute(
        queries,
      );
    }
    await sql`INSERT INTO settings (name, value, updated_at) VALUES ('large', to_jsonb(repeat('0123456789', 500000)), 'infinity')`.execute(
      queries,
    );
    await sql`INSERT INTO users (user_id, email, display_name, role, status, created_at)
      SELECT gen_random_uuid(), 'nobody@example.org', '', 'reader', 'invited', 'infinity'`.execute(queries);
    await sql`INSERT INTO api_tokens (token_id, user_id, name, token_hash, created_at)
      SELECT gen_random_uuid(), user_id, '', ${Buffer.from(Array.from({ length: 32 }, (_, byte) => byte))}, now() FROM users`.execute(
      queries,
    );
    const secret = Buffer.from([0, 9, 10, 13, 92, 255]);
    await saveSetting(queries, cluster.keyring, { name: 'secret', value: null, secret }, context);
    const before = await dumpDatabase(cluster.database);
    expect(before['tasks']).toHaveLength(nasty.length);
    expect(before['settings']?.some((row) => row.length > 5_000_000)).toBe(true);
    const backup = await createBackup(context, cluster, { kind: 'manual' });
    expect(backup.logicalBytes).toBeGreaterThan(5_000_000);

    const restored = await restoreInto(context, host);

    expect(await dumpDatabase(restored.database)).toEqual(before);
    expect((await readSetting(restored.database.queries, restored.keyring, 'secret'))?.secret).toEqual(secret);
  });

  it('is one point in time, while others write and somebody tries to empty a table', async () => {
    const { context, cluster, host } = await makeCluster();
    await addUsers(cluster.database, 50);
    const before = await dumpDatabase(cluster.database);
    const { startWorker, waiting, go } = pausedReaders();
    const running = createBackup({ ...context, startWorker }, cluster, { kind: 'manual' });
    await Promise.race([waiting, running]);
    await addUsers(cluster.database, 7, 'later.example.org');
    await sql`DELETE FROM users WHERE email LIKE 'user-1%@example.org'`.execute(cluster.database.queries);
    await expect(truncateSettings(cluster)).rejects.toMatchObject({ code: 'database-unreachable' });
    go();

    const backup = await running;

    const manifest = await readManifest(host.store, cluster.keyring, backup.id);
    expect(manifest.tables.find(({ name }) => name === 'users')?.rows).toBe(50);
    expect(await cluster.database.countRows('users')).toBe(46);
    const restored = await restoreInto(context, host);
    expect(await dumpDatabase(restored.database)).toEqual(before);
  });

  it('warns where a table that had rows has none now', async () => {
    const { context, cluster, host } = await makeCluster();
    await addUsers(cluster.database, 3);
    const first = await createBackup(context, cluster, { kind: 'manual' });
    await sql`DELETE FROM users`.execute(cluster.database.queries);

    const second = await createBackup(context, cluster, { kind: 'scheduled' });

    const warning = `table "users" is empty now and had 3 rows in backup ${first.id}`;
    expect((await readManifest(host.store, cluster.keyring, second.id)).warnings).toEqual([warning]);
    expect(context.notes.join('\n')).toContain(warning);
  });

  it('says which tables it leaves out, because no migration made them', async () => {
    const { context, cluster } = await makeCluster();
    await cluster.database.runScript('CREATE TABLE somebody_elses (a INT4)');

    await createBackup(context, cluster, { kind: 'manual' });

    expect(context.notes).toEqual([
      'warning: table "somebody_elses" is not one of the manager\'s own and is not backed up',
    ]);
  });
});

describe('a backup that must not be listed', () => {
  it('is one whose reader loses rows without an error', async () => {
    const { context, cluster, host } = await makeCluster();
    await addUsers(cluster.database, 30);
    let dropped = 0;
    const startWorker = losingReaders(() => (dropped += 1));

    const attempt = createBackup({ ...context, startWorker }, cluster, { kind: 'manual' });

    await expect(attempt).rejects.toMatchObject({
      code: 'rows-differ',
      exitCode: 31,
      message: expect.stringMatching(/"users" has 30 rows but 29 were read/),
    });
    expect(dropped).toBe(1);
    expect(await listedBackups(host, cluster.keyring)).toEqual([]);
    expect((await listRuns(cluster.database.queries, { kind: 'backup' }))[0]).toMatchObject({
      outcome: 'failed',
      error: { code: 'rows-differ' },
    });
  });

  it('is one whose database ends its connections', async () => {
    const { context, cluster, host } = await makeCluster();
    await addUsers(cluster.database, 10);
    const { startWorker, waiting, go } = pausedReaders();
    const running = createBackup({ ...context, startWorker }, cluster, { kind: 'manual' });
    await Promise.race([waiting, running]);
    expect(await terminateSessions(cluster.database, cluster.database.name)).toBeGreaterThan(0);
    go();

    await expect(running).rejects.toMatchObject({ code: 'database-unreachable', exitCode: 14 });

    expect(await listedBackups(host, cluster.keyring)).toEqual([]);
    await expect(createBackup(context, cluster, { kind: 'manual' })).resolves.toMatchObject({ sequence: 1 });
  });

  it('is one whose rows the repository has no space for', async () => {
    const { context, cluster, host } = await makeCluster();
    await addSettings(cluster.database, 3000);
    let stored = 0;
    const full: ObjectStore['put'] = async (key, body) => {
      if ((stored += 1) > 2) throw new EnclaveManagerError('no-space', `no space left to write ${key}`);
      return await host.store.put(key, body);
    };
    const startWorker = localWorkers({ openStore: async () => storeWith(host.store, { put: full }) });

    await expect(createBackup({ ...context, startWorker }, cluster, { kind: 'manual' })).rejects.toMatchObject({
      code: 'no-space',
      exitCode: 16,
    });

    expect(stored).toBeGreaterThan(2);
    expect(await listedBackups(host, cluster.keyring)).toEqual([]);
    const next = await createBackup(context, cluster, { kind: 'manual' });
    expect(next.newChunks).toBe(next.totalChunks - 2);
  });

  it('is one whose manifest the repository has no space for', async () => {
    const { context, cluster, host } = await makeCluster();
    const put: ObjectStore['put'] = async (key, body) => {
      if (key.startsWith('backups/')) throw new EnclaveManagerError('no-space', `no space left to write ${key}`);
      return await host.store.put(key, body);
    };
    const full = { ...cluster, store: storeWith(host.store, { put }) };

    await expect(createBackup(context, full, { kind: 'manual' })).rejects.toMatchObject({ code: 'no-space' });

    expect(await listedBackups(host, cluster.keyring)).toEqual([]);
    const stored = chunkObjects(host);
    await expect(createBackup(context, cluster, { kind: 'manual' })).resolves.toMatchObject({
      newChunks: 0,
      totalChunks: stored.length,
    });
    expect(chunkObjects(host)).toEqual(stored);
  });

  it('is one into a repository that cannot be written', async () => {
    const { context, cluster, host } = await makeCluster();
    writeFileSync(objectFile(host, 'chunks'), 'in the way');

    const attempt = createBackup(context, cluster, { kind: 'manual' });

    await expect(attempt).rejects.toMatchObject({
      code: 'configuration',
      exitCode: 10,
      message: expect.stringContaining(objectFile(host, 'chunks')),
    });
    expect(await listedBackups(host, cluster.keyring)).toEqual([]);
  });

  it('is one into a directory that this user may not write', async ({ skip }) => {
    skip(process.getuid?.() === 0, 'root may write everywhere');
    const { context, cluster, host } = await makeCluster();
    mkdirSync(objectFile(host, 'chunks'), { mode: 0o500 });

    await expect(createBackup(context, cluster, { kind: 'manual' })).rejects.toMatchObject({
      code: 'configuration',
      exitCode: 10,
    });

    expect(await listedBackups(host, cluster.keyring)).toEqual([]);
  });

  it('is one whose new objects do not come back as they were stored', async () => {
    const { context, cluster, host } = await makeCluster();
    let changed = 0;
    const put: ObjectStore['put'] = async (key, body) => {
      const bytes = Buffer.from(body);
      bytes[bytes.length - 20]! ^= 1;
      changed += 1;
      return await host.store.put(key, bytes);
    };
    const startWorker = localWorkers({ openStore: async () => storeWith(host.store, { put }) });

    const attempt = createBackup({ ...context, startWorker }, cluster, { kind: 'manual' });

    await expect(attempt).rejects.toMatchObject({
      code: 'damaged',
      exitCode: 20,
      message: expect.stringContaining('right after it was stored; nothing was listed'),
    });
    expect(changed).toBeGreaterThan(0);
    expect(await listedBackups(host, cluster.keyring)).toEqual([]);
    // What came out wrong is not taken over either.
    const next = await createBackup(context, cluster, { kind: 'manual' });
    expect(next.newChunks).toBe(next.totalChunks);
  });

  it('is one whose schema went forward just before it locked the tables', async () => {
    const { context, cluster, host } = await makeCluster();
    const current = loadMigrations().length;
    const database: Cluster['database'] = {
      ...cluster.database,
      snapshot: async (tables) => {
        await sql`INSERT INTO schema_migrations (version, name, checksum, applied_at) VALUES (${current + 1}, 'next', 'x', now())`.execute(
          cluster.database.queries,
        );
        return await cluster.database.snapshot(tables);
      },
    };

    await expect(createBackup(context, { ...cluster, database }, { kind: 'manual' })).rejects.toMatchObject({
      code: 'lease-held',
      message: expect.stringContaining(`from version ${current} to ${current + 1}`),
    });

    expect(await listedBackups(host, cluster.keyring)).toEqual([]);
  });

  const shorten = 'DELETE FROM schema_migrations WHERE version > 2';
  const unrecorded = {
    code: 'damaged',
    exitCode: 20,
    message: expect.stringMatching(/migration 3 .*table "users"/) as string,
  };

  it('is one that would leave out tables, because rows of schema_migrations were deleted', async () => {
    const { context, cluster, host } = await makeCluster();
    await addUsers(cluster.database, 3);
    await cluster.database.runScript(shorten);
    await expect(createBackup(context, cluster, { kind: 'manual' })).rejects.toMatchObject(unrecorded);
    expect(await listedBackups(host, cluster.keyring)).toEqual([]);
  });

  it('is one before whose snapshot rows of schema_migrations were deleted', async () => {
    const { context, cluster, host } = await makeCluster();
    let deleted = 0;
    const database: Cluster['database'] = {
      ...cluster.database,
      snapshot: async (tables) => {
        await cluster.database.runScript(shorten);
        deleted += 1;
        return await cluster.database.snapshot(tables);
      },
    };
    await expect(createBackup(context, { ...cluster, database }, { kind: 'manual' })).rejects.toMatchObject(unrecorded);
    expect(deleted).toBe(1);
    expect(await listedBackups(host, cluster.keyring)).toEqual([]);
  });

  it('is one of a schema newer than this program', async () => {
    const { context, cluster, host } = await makeCluster();
    await sql`INSERT INTO schema_migrations (version, name, checksum, applied_at) VALUES (99, 'future', 'x', now())`.execute(
      cluster.database.queries,
    );

    await expect(createBackup(context, cluster, { kind: 'manual' })).rejects.toMatchObject({
      code: 'version-incompatible',
      exitCode: 22,
    });

    expect(await listedBackups(host, cluster.keyring)).toEqual([]);
  });
});

function losingReaders(onDrop: () => void) {
  return localWorkers({
    openReader: async (connection, snapshot): Promise<RowReader> => {
      const reader = await openRowReader(connection, snapshot);
      return {
        close: () => reader.close(),
        read: async (range, sink) => {
          let seen = 0;
          let passed = 0;
          await reader.read(range, {
            ready: () => sink.ready(),
            row: (buffer, begin, end) => {
              if (range.table === 'users' && (seen += 1) === 17) return onDrop();
              passed += 1;
              sink.row(buffer, begin, end);
            },
          });
          return passed;
        },
      };
    },
  });
}

async function truncateSettings({ database, server }: Cluster): Promise<void> {
  const impatient = server.open(database.name, { connections: 1 });
  try {
    await impatient.runScript(`SET LOCAL lock_timeout = 200; TRUNCATE settings`);
  } finally {
    await impatient.close();
  }
}
