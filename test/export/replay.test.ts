import fc from 'fast-check';
import { sql, type Kysely } from 'kysely';
import { afterAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { connectPostgresql } from '#adapters/postgresql/postgresql-server.ts';
import { openRowReader } from '#adapters/postgresql/row-reader.ts';
import { insertStatements } from '#format/sql-inserts.ts';
import { createBackup } from '#operations/create-backup.ts';
import type { Database, DatabaseServer } from '#ports/database.ts';
import { migrate } from '#store/migrate.ts';
import { makeCluster } from '../fixtures/cluster.ts';
import { debianUnavailable, startDebianServer, type DebianServer } from '../fixtures/debian-postgresql.ts';
import { dumpDatabase } from '../fixtures/dump.ts';
import { exportedSql } from '../fixtures/exporting.ts';
import { freshDatabaseName, startTestServer } from '../fixtures/postgresql.ts';
import { psql, psqlUnavailable, type PsqlTarget } from '../fixtures/psql.ts';
import { addAuditEvents, addSettings, addUsers } from '../fixtures/rows.ts';

let debian: Promise<DebianServer> | undefined;
afterAll(async () => (await debian)?.stop());

beforeEach((context) => {
  const unavailable = psqlUnavailable ?? debianUnavailable;
  if (unavailable !== undefined) context.skip(unavailable);
});

interface Place {
  readonly server: DatabaseServer;
  target(database: string): PsqlTarget;
}

const places: Readonly<Record<string, () => Promise<Place>>> = {
  'the embedded PostgreSQL 18': async () => {
    const { server, connection } = await startTestServer();
    return { server, target: (database) => ({ connection, database }) };
  },
  "Debian's PostgreSQL 15": async () => {
    const { url } = await (debian ??= startDebianServer());
    const server = await connectPostgresql({ server: url });
    onTestFinished(() => server.close());
    return { server, target: (database) => ({ url, database }) };
  },
};

/** What an operator's server may have set, and would change the meaning of careless SQL. */
async function makeHostile({ server }: Place, name: string): Promise<void> {
  const database = server.open(name, { connections: 1 });
  const settings = ['standard_conforming_strings = off', `client_encoding = 'LATIN1'`, `DateStyle = 'SQL, DMY'`];
  for (const setting of [...settings, `search_path = 'somewhere'`])
    await sql.raw(`ALTER DATABASE "${name}" SET ${setting}`).execute(database.queries);
  await database.close();
}

/** Everything that migrations make: constraints, indexes, columns. */
async function definitions({ queries }: { readonly queries: Kysely<unknown> }): Promise<string[]> {
  const { rows } = await sql<{ line: string }>`
    SELECT con.conrelid::regclass || ' ' || con.conname || ' ' || pg_get_constraintdef(con.oid) AS line
      FROM pg_constraint con WHERE con.connamespace = 'public'::regnamespace
    UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'
    UNION ALL SELECT table_name || ' ' || ordinal_position || ' ' || column_name || ' ' || data_type || ' ' || is_nullable
      FROM information_schema.columns WHERE table_schema = 'public'
    ORDER BY 1`.execute(queries);
  return rows.map(({ line }) => line).filter((line) => !line.includes('import_marker'));
}

describe.each(Object.entries(places))('an export replayed by psql into %s', (_, open) => {
  it('makes the tables of the migrations, with every row, whatever the server has set', async () => {
    const place = await open();
    const { context, cluster } = await makeCluster();
    await addUsers(cluster.database, 700, "exam\\ple's.org\n🗝");
    await addSettings(cluster.database, 40);
    await addAuditEvents(cluster.database, 50);
    const wanted = await dumpDatabase(cluster.database);
    const { id } = await createBackup(context, cluster, { kind: 'manual' });
    const { sql: script } = await exportedSql(context, cluster, id);

    const [name, migratedName] = [freshDatabaseName(), freshDatabaseName()];
    for (const each of [name, migratedName]) await place.server.createDatabase(each);
    await makeHostile(place, name);
    expect(await psql(place.target(name), script, { env: { PGCLIENTENCODING: 'LATIN1' } })).toEqual({
      exitCode: 0,
      stderr: '',
    });
    const [loaded, migrated] = [place.server.open(name), place.server.open(migratedName)];
    await migrate(migrated);
    expect(await dumpDatabase(loaded)).toEqual(wanted);
    expect(await definitions(loaded)).toEqual(await definitions(migrated));
    const ephemeral = async (database: Database) =>
      (
        await sql`SELECT name, counter::text FROM leases UNION ALL SELECT name, taken::text FROM write_locks
        UNION ALL SELECT 'maintenance', singleton::text FROM maintenance ORDER BY 1`.execute(database.queries)
      ).rows;
    expect(await ephemeral(loaded)).toEqual(await ephemeral(migrated));
    await Promise.all([loaded.close(), migrated.close()]);
  });

  it('refuses to run over tables that are there', async () => {
    const place = await open();
    const { context, cluster } = await makeCluster();
    const { id } = await createBackup(context, cluster, { kind: 'manual' });
    const { sql: script } = await exportedSql(context, cluster, id);
    const name = freshDatabaseName();
    await place.server.createDatabase(name);
    expect((await psql(place.target(name), script)).exitCode).toBe(0);
    expect(await psql(place.target(name), script)).toEqual({
      exitCode: 3,
      stderr: expect.stringContaining('"import_marker" already exists') as string,
    });
  });
});

const columns = [
  { name: 'id', type: 'int8' },
  { name: 'words', type: 'text' },
  { name: 'bytes', type: 'bytea' },
  { name: 'document', type: 'jsonb' },
  { name: 'instant', type: 'timestamptz' },
  { name: 'number', type: 'float8' },
  { name: 'small', type: 'int4' },
  { name: 'yes', type: 'boolean' },
  { name: 'list', type: 'text[]' },
  { name: 'lumps', type: 'bytea[]' },
] as const;
const samples = { name: 'samples', columns };
const createSamples = `CREATE TABLE samples (${columns.map(({ name, type }) => `${name} ${type}`).join(', ')})`;

const nullable = <T>(values: fc.Arbitrary<T>) => fc.option(values, { nil: null });
/** PostgreSQL's text holds everything but NUL and lone surrogates; the others are what SQL and psql trip over. */
const words = fc
  .oneof(
    fc.string({ unit: 'binary' }),
    fc.string({
      unit: fc.constantFrom('\\', "'", '"', '\n', '\r', '\t', '\v', '\b', '\f', '$', ';', ':', '-', 'N', 'x', '{', ','),
    }),
  )
  .map((text) => text.replaceAll('\0', '').toWellFormed());
const json = fc.jsonValue().map((value) => JSON.stringify(value).replaceAll(/\\u0000|\\ud[89a-f]../gi, ''));
const instants = fc.oneof(
  fc.constantFrom('infinity', '-infinity', '0044-03-15 12:00:00+00 BC', '294276-12-31 23:59:59.999999+00'),
  fc
    .date({ min: new Date('0001-01-01T00:00:00Z'), max: new Date('9999-12-31T00:00:00Z'), noInvalidDate: true })
    .map((date) => date.toISOString()),
);
const rowValues = fc.tuple(
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String),
  nullable(words),
  nullable(fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes))),
  nullable(json),
  nullable(instants),
  nullable(fc.double().map((number) => (Object.is(number, -0) ? '-0' : String(number)))),
  nullable(fc.integer()),
  nullable(fc.boolean()),
  nullable(fc.array(nullable(words), { maxLength: 4 })),
  nullable(
    fc.array(
      fc.uint8Array({ maxLength: 9 }).map((bytes) => Buffer.from(bytes)),
      { maxLength: 3 },
    ),
  ),
);

async function copyOut(database: Database): Promise<Buffer> {
  const snapshot = await database.snapshot(['samples']);
  const reader = await openRowReader(database.connection, snapshot.token);
  const rows: string[] = [];
  const names = columns.map(({ name }) => name);
  const range = { table: 'samples', columns: names, keyColumns: 0, condition: null, estimatedBytes: 0 };
  await reader.read(range, {
    row: (buffer, begin, end) => void rows.push(buffer.toString('latin1', begin, end)),
    ready: () => undefined,
  });
  await reader.close();
  await snapshot.close();
  return Buffer.from(rows.toSorted().join(''), 'latin1');
}

describe('values of every kind', () => {
  it(
    'survive COPY text, SQL and psql, also where the server reads strings in the old way',
    { timeout: 240_000 },
    async () => {
      const place = await places['the embedded PostgreSQL 18']!();
      const [from, to] = [freshDatabaseName(), freshDatabaseName()];
      for (const name of [from, to]) await place.server.createDatabase(name);
      const [source, loaded] = [place.server.open(from), place.server.open(to)];
      for (const database of [source, loaded]) await database.runScript(createSamples);
      await sql.raw(`ALTER DATABASE "${to}" SET DateStyle = 'SQL, DMY'`).execute(source.queries);
      const preamble = "SET client_encoding = 'UTF8';\nSET standard_conforming_strings = on;\nTRUNCATE samples;\n";
      await fc.assert(
        fc.asyncProperty(fc.array(rowValues, { minLength: 5, maxLength: 40 }), async (rows) => {
          await source.runScript('TRUNCATE samples');
          for (const row of rows) {
            const values = sql.join(row.map((value, index) => sql`${value}::${sql.raw(columns[index]!.type)}`));
            await sql`INSERT INTO samples VALUES (${values})`.execute(source.queries);
          }
          const wanted = await copyOut(source);
          const script = Buffer.concat([Buffer.from(preamble), ...insertStatements(samples, wanted)]);
          expect(await psql(place.target(to), script)).toEqual({ exitCode: 0, stderr: '' });
          expect((await copyOut(loaded)).equals(wanted)).toBe(true);
        }),
        { numRuns: 12 },
      );
      await Promise.all([source.close(), loaded.close()]);
    },
  );
});
