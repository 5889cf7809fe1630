import { sql } from 'kysely';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { connectCockroachdb } from '#adapters/cockroachdb/cockroachdb-server.ts';
import { openRowReader } from '#adapters/cockroachdb/row-reader.ts';
import { openRowWriter } from '#adapters/cockroachdb/row-writer.ts';
import { openSnapshot } from '#adapters/cockroachdb/snapshot.ts';
import { connectPostgresql } from '#adapters/postgresql/postgresql-server.ts';
import { validateOptions } from '#postgresql-protocol/connection-options.ts';
import { collect } from '#ports/database-scope.contract.ts';
import { databaseServerContract } from '#ports/database.contract.ts';
import type { Database, DatabaseServer } from '#ports/database.ts';
import { startCockroachdbProxy, type CockroachdbProxy } from '../fixtures/cockroachdb-proxy.ts';
import { freshDatabaseName, startTestServer } from '../fixtures/postgresql.ts';

let proxy: CockroachdbProxy;
let server: DatabaseServer;

beforeAll(async () => {
  proxy = await startCockroachdbProxy((await startTestServer()).connection);
  server = await connectCockroachdb({ server: proxy.options });
  return async () => {
    await server.close();
    await proxy.close();
  };
});

databaseServerContract(
  'the adapter of CockroachDB, on PostgreSQL behind a proxy',
  async () => ({
    server: await connectCockroachdb({ server: proxy.options }),
    connectAs: (user, password) => connectCockroachdb({ server: { ...proxy.options, user, password } }),
    openReader: openRowReader,
    openWriter: openRowWriter,
    stop: async () => {},
  }),
  {
    lacks: new Set([
      'snapshots lock and end',
      'pages',
      'every type',
      'PostgreSQL roles and grants',
      'indexes come off',
    ]),
  },
);

async function fresh(script: string): Promise<Database> {
  const name = freshDatabaseName();
  await server.createDatabase(name);
  const database = server.open(name);
  onTestFinished(() => database.close());
  await database.runScript(script);
  return database;
}

/** The first two inserts must give way, as the engine asks of any transaction; what a sequence counts stays counted. */
const givingWay = `CREATE TABLE t (id int8 PRIMARY KEY, body text); CREATE SEQUENCE attempts;
  CREATE FUNCTION give_way() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF nextval('attempts') <= 2 THEN RAISE SQLSTATE '40001'; END IF; RETURN NEW; END $$;
  CREATE TRIGGER give_way BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION give_way()`;

const attempts = async (database: Database): Promise<unknown> =>
  (await sql`SELECT last_value AS value FROM attempts`.execute(database.queries)).rows[0];

describe('what has to give way is done again', () => {
  it('a script', async () => {
    const database = await fresh(givingWay);
    await database.runScript(`INSERT INTO t VALUES (1, 'a')`);
    expect([await attempts(database), await database.countRows('t')]).toEqual([{ value: 3 }, 1]);
  });

  it('a chunk of rows that is loaded', async () => {
    const database = await fresh(givingWay);
    const writer = await openRowWriter(database.connection);
    onTestFinished(() => writer.close());
    expect(await writer.load('t', ['id', 'body'], Buffer.from('1\ta\n2\t\n3\t\\N\n'))).toBe(3);
    expect(await attempts(database)).toEqual({ value: 5 });
    const { rows } = await sql`SELECT * FROM t ORDER BY id`.execute(database.queries);
    expect(rows).toEqual([
      { id: 1, body: 'a' },
      { id: 2, body: '' },
      { id: 3, body: null },
    ]);
  });

  it('until it has given way ten times', async () => {
    const database = await fresh(givingWay.replace('<= 2', '<= 99'));
    await expect(database.runScript(`INSERT INTO t VALUES (1, 'a')`)).rejects.toMatchObject({
      code: 'database-unreachable',
      message: expect.stringContaining('10 times') as string,
    });
    expect(await attempts(database)).toEqual({ value: 10 });
  });
});

describe('ranges of a large table', () => {
  it.each([
    ['id int8', 'i'],
    ['id text', `'it''s \\ ' || lpad(i::text, 4, '0')`],
    ['id bytea', `decode(lpad(to_hex(i), 8, '0'), 'hex')`],
    ['id uuid', `lpad(i::text, 32, '0')::uuid`],
    ['id int4, b bool', 'i / 2, i % 2 = 1'],
    ['id timestamptz', `TIMESTAMPTZ '2026-01-01 00:00:00Z' + i * INTERVAL '1 ms'`],
  ])('by %s hold each row once, and stay as the table grows', async (key, values) => {
    const names = key.split(', ').map((each) => each.split(' ')[0]);
    const insert = (begin: number, end: number): string =>
      `INSERT INTO t SELECT ${values}, i::text FROM generate_series(${begin}, ${end}) i`;
    const database = await fresh(
      `CREATE TABLE t (${key}, body text, PRIMARY KEY (${names.join(', ')})); ${insert(1, 250)}`,
    );
    const before = await readRanges(database);
    expect(before.map((part) => part.length)).toEqual([100, 100, 50]);
    expect(before.flat().map((row) => row.trim().split('\t').at(-1))).toEqual(
      Array.from({ length: 250 }, (_, index) => `${index + 1}`),
    );
    await database.runScript(insert(251, 330));
    const after = await readRanges(database);
    expect(after.map((part) => part.length)).toEqual([100, 100, 100, 30]);
    expect(after.slice(0, 2)).toEqual(before.slice(0, 2));
  });
});

async function readRanges(database: Database): Promise<string[][]> {
  const snapshot = await openSnapshot(validateOptions(database.connection.options), 100);
  const reader = await openRowReader(database.connection, snapshot.token);
  try {
    const parts: string[][] = [];
    for (const range of await snapshot.ranges('t')) {
      const rows: string[] = [];
      await reader.read(range, collect(rows));
      parts.push(rows);
    }
    return parts;
  } finally {
    await reader.close();
    await snapshot.close();
  }
}

describe('which engine answers', () => {
  it('is asked: an adapter refuses the other one by its name', async () => {
    await expect(connectPostgresql({ server: proxy.options })).rejects.toMatchObject({
      code: 'version-incompatible',
      message: expect.stringContaining('CockroachDB CCL v25.2.1') as string,
    });
    const { connection } = await startTestServer();
    await expect(connectCockroachdb({ server: connection })).rejects.toMatchObject({
      code: 'version-incompatible',
      message: expect.stringContaining('PostgreSQL 18') as string,
    });
  });
});
