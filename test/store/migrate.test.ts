import { describe, expect, it } from 'vitest';
import { sql } from 'kysely';
import { appliedMigrations, checkMigrations, migrate, schemaVersion } from '#store/migrate.ts';
import { backedUpTables, loadMigrations, parseMigration } from '#store/migrations.ts';
import { sealedColumns } from '#store/sealed-values.ts';
import { tablesOf } from '#store/tables.ts';
import { emptyDatabase, migratedDatabase } from './store-database.ts';

const migrations = loadMigrations();
const newest = migrations.length;

const migration = (version: number, script: string) =>
  parseMigration(`${String(version).padStart(4, '0')}-test.sql`, Buffer.from(script));

describe('migrate', () => {
  it('brings an empty database to the newest version, and a second time changes nothing', async () => {
    const { database } = await emptyDatabase();
    expect(await schemaVersion(database)).toBe(0);
    expect(await migrate(database)).toEqual({ from: 0, to: newest });
    expect(await schemaVersion(database)).toBe(newest);
    expect(await migrate(database)).toEqual({ from: newest, to: newest });
  });

  it('stops at the version asked for and goes on from there', async () => {
    const { database } = await emptyDatabase();
    expect(await migrate(database, { to: 2 })).toEqual({ from: 0, to: 2 });
    expect(await database.tableNames()).toContain('leases');
    expect(await database.tableNames()).not.toContain('users');
    expect(await migrate(database)).toEqual({ from: 2, to: newest });
  });

  it('applies each migration once when several processes migrate at the same time', async () => {
    const { database, another } = await emptyDatabase();
    const results = await Promise.all([database, another(), another()].map((each) => migrate(each)));
    expect(results.map((result) => result.to)).toEqual([newest, newest, newest]);
    const applied = await appliedMigrations(database.queries);
    expect(applied).toEqual(migrations.map(({ version, checksum }) => ({ version, checksum })));
  });

  it('refuses a database in which a known migration has other contents, naming it', async () => {
    const { database } = await migratedDatabase();
    await tablesOf(database)
      .updateTable('schema_migrations')
      .set({ checksum: 'f'.repeat(64) })
      .where('version', '=', 2)
      .execute();
    const message = expect.stringMatching(/migration 2 \(coordination\).*f{64}/);
    await expect(migrate(database)).rejects.toMatchObject({ code: 'version-incompatible', message });
  });

  it('refuses a database with a migration of a newer program, and leaves it as it is', async () => {
    const { database } = await emptyDatabase();
    const future = migration(newest + 1, 'CREATE TABLE future (id UUID PRIMARY KEY);');
    await migrate(database, { migrations: [...migrations, future] });
    const message = expect.stringContaining(`schema version ${newest + 1}`);
    await expect(migrate(database)).rejects.toMatchObject({ code: 'version-incompatible', message });
    expect(await schemaVersion(database)).toBe(newest + 1);
  });

  it.each([
    ['> 2', /migration 3 .*table "users"/],
    ['= 7', /migration 7 .*and does migration/],
    ['> 0', /migration 1 .*table "cluster"/],
  ])('refuses a database whose records of migrations %s were deleted', async (which, message) => {
    const { database } = await migratedDatabase();
    await database.runScript(`DELETE FROM schema_migrations WHERE version ${which}`);
    await expect(migrate(database)).rejects.toMatchObject({
      code: 'damaged',
      exitCode: 20,
      message: expect.stringMatching(message) as string,
    });
  });

  it('refuses to go to a version that it does not know', async () => {
    const { database } = await emptyDatabase();
    await expect(migrate(database, { to: newest + 1 })).rejects.toMatchObject({ code: 'version-incompatible' });
    expect(await database.tableNames()).toEqual([]);
  });

  it('leaves nothing of a migration that fails half-way', async () => {
    const { database } = await emptyDatabase();
    const failing = migration(1, 'CREATE TABLE first (id UUID PRIMARY KEY);\nCREATE INDEX broken ON absent (id);');
    await expect(migrate(database, { migrations: [failing] })).rejects.toThrow(/absent/);
    expect(await database.tableNames()).toEqual(['schema_migrations']);
    expect(await schemaVersion(database)).toBe(0);
  });

  it('tells the migrations of a manifest from edited ones', async () => {
    const { database } = await migratedDatabase();
    const applied = await appliedMigrations(database.queries);
    expect(checkMigrations(applied, 'the backup')).toBeUndefined();
    const edited = applied.map((row) => (row.version === 1 ? { ...row, checksum: '0'.repeat(64) } : row));
    expect(() => checkMigrations(edited, 'the backup')).toThrow(/migration 1 \(cluster\) of the backup/);
  });
});

describe('the schema', () => {
  it('has exactly the tables that the migrations say, backed up or ephemeral', async () => {
    const { database } = await migratedDatabase();
    const dropped = migrations.flatMap((each) => each.droppedTables);
    const ephemeral = migrations.flatMap((each) => each.ephemeralTables).filter((table) => !dropped.includes(table));
    const declared = [...backedUpTables(newest), ...ephemeral, 'schema_migrations'].toSorted();
    expect(declared).toEqual(await database.tableNames());
  });

  it('begins without a row in any table that is backed up', async () => {
    const { database } = await migratedDatabase();
    for (const table of backedUpTables(newest)) expect([table, await database.countRows(table)]).toEqual([table, 0]);
    for (const table of ['leases', 'write_locks', 'maintenance']) expect(await database.countRows(table)).toBe(1);
  });

  it('gives every table a primary key', async () => {
    const { database } = await migratedDatabase();
    for (const table of await database.tableNames()) {
      expect((await database.tableColumns(table)).keyColumns, table).toBeGreaterThan(0);
    }
  });

  it('uses only types, and no objects but those, that every engine shares', async () => {
    const { database } = await migratedDatabase();
    const types = await sql<{ type: string }>`SELECT DISTINCT udt_name AS type FROM information_schema.columns
      WHERE table_schema = 'public' ORDER BY 1`.execute(database.queries);
    expect(types.rows.map((row) => row.type)).toEqual([
      'bool',
      'bytea',
      'int4',
      'int8',
      'jsonb',
      'text',
      'timestamptz',
      'uuid',
    ]);
    const others = await sql<{ kind: string }>`SELECT DISTINCT relkind AS kind FROM pg_class
      WHERE relnamespace = 'public'::regnamespace ORDER BY 1`.execute(database.queries);
    expect(others.rows.map((row) => row.kind)).toEqual(['i', 'r']);
  });

  it('has an index for every foreign key', async () => {
    const { database } = await migratedDatabase();
    const { rows } = await sql<{ name: string }>`
      SELECT conname AS name FROM pg_constraint c WHERE contype = 'f' AND NOT EXISTS (
        SELECT 1 FROM pg_index i WHERE i.indrelid = c.conrelid AND i.indkey[0] = c.conkey[1])`.execute(
      database.queries,
    );
    expect(rows).toEqual([]);
  });

  it('names a column sealed_… exactly when its values are sealed', async () => {
    const { database } = await migratedDatabase();
    const { rows } = await sql<{ table: string; column: string }>`
      SELECT table_name AS table, column_name AS column FROM information_schema.columns
      WHERE table_schema = 'public' AND starts_with(column_name, 'sealed_') ORDER BY 1, 2`.execute(database.queries);
    expect(rows).toEqual(sealedColumns.map(({ table, column }) => ({ table, column })));
  });
});
