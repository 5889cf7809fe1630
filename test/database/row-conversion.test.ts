import fc from 'fast-check';
import { sql } from 'kysely';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { columnText, coveredTypes } from '#adapters/cockroachdb/column-text.ts';
import { copyTextToCsv } from '#adapters/cockroachdb/copy-text-to-csv.ts';
import { CsvToCopyText } from '#adapters/cockroachdb/csv-to-copy-text.ts';
import { jsonbText } from '#adapters/cockroachdb/jsonb-text.ts';
import { postgresqlSession } from '#adapters/postgresql/session-settings.ts';
import { exchangeCopy } from '#postgresql-protocol/copy-exchange.ts';
import { copyIn } from '#postgresql-protocol/copy-in.ts';
import { openWire, type WireConnection } from '#postgresql-protocol/wire-connection.ts';
import type { Database } from '#ports/database.ts';
import { migrate } from '#store/migrate.ts';
import { freshDatabaseName, startTestServer } from '../fixtures/postgresql.ts';

const types = ['int8', 'text', 'bytea', 'jsonb', 'boolean', 'timestamptz', 'uuid', 'int4'] as const;
const columns = 'id, a, b, c, d, e, f, g';

let database: Database;
let wire: WireConnection;

beforeAll(async () => {
  const { server, connection } = await startTestServer();
  const name = freshDatabaseName();
  await server.createDatabase(name);
  database = server.open(name);
  const definition = 'id int8 PRIMARY KEY, a text, b bytea, c jsonb, d boolean, e timestamptz, f uuid, g int4';
  await database.runScript(`CREATE TABLE source (${definition}); CREATE TABLE target (${definition})`);
  wire = await openWire(postgresqlSession({ ...connection, database: name }));
  return async () => {
    await wire.close();
    await database.close();
  };
});

/** The bytes of each message. */
async function copyOut(statement: string): Promise<Buffer[]> {
  const pieces: Buffer[] = [];
  await exchangeCopy(wire, statement, {
    row: (buffer, begin, end) => void pieces.push(Buffer.from(buffer.subarray(begin, end))),
    ready: () => undefined,
  });
  return pieces;
}

const text = fc
  .array(
    fc.oneof(
      fc.constantFrom(',', '"', '\n', '\r', '\t', '\\', '\\.', '\\N', ' ', '\u0001', '\u007f'),
      fc.string({ unit: 'grapheme' }),
    ),
    { maxLength: 8 },
  )
  .map((each) => each.join('').replaceAll('\0', ''));
const withoutNul = (value: string): string => value.replaceAll(/\\u0000|\0/g, '');
const json = fc.jsonValue().map((value) => withoutNul(JSON.stringify(value)));
const maybe = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | null> => fc.option(value, { freq: 4 });

const row = fc.record({
  a: maybe(text),
  b: maybe(fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes))),
  c: maybe(json),
  d: maybe(fc.boolean()),
  e: maybe(
    fc.date({ min: new Date('0001-01-01T00:00:00Z'), max: new Date('9999-12-31T00:00:00Z'), noInvalidDate: true }),
  ),
  f: maybe(fc.uuid()),
  g: maybe(fc.integer({ min: -2147483648, max: 2147483647 })),
});

type Row = typeof row extends fc.Arbitrary<infer T> ? T : never;

async function insert(rows: readonly Row[]): Promise<void> {
  await sql`TRUNCATE source, target`.execute(database.queries);
  for (const [id, { a, b, c, d, e, f, g }] of rows.entries()) {
    await sql`INSERT INTO source VALUES (${id}, ${a}, ${b}, ${c}::jsonb, ${d}, ${e}, ${f}::uuid, ${g})`.execute(
      database.queries,
    );
  }
}

describe('the conversion against what PostgreSQL writes itself', () => {
  it('makes COPY text of CSV, and CSV that loads as the same rows', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(row, { minLength: 1, maxLength: 12 }), fc.nat({ max: 50 }), async (rows, shift) => {
        await insert(rows);
        const select = `SELECT ${columns} FROM source ORDER BY id`;
        const wanted = (await copyOut(`COPY (${select}) TO STDOUT`)).map(String);
        const csv = Buffer.concat(await copyOut(`COPY (${select}) TO STDOUT WITH CSV`));
        expect(convert(csv, shift + 1)).toEqual(wanted);

        const loaded = await copyIn(
          wire,
          'COPY target FROM STDIN WITH CSV',
          copyTextToCsv(Buffer.from(wanted.join(''))),
        );
        expect(loaded).toBe(rows.length);
        expect((await copyOut('COPY (SELECT * FROM target ORDER BY id) TO STDOUT')).map(String)).toEqual(wanted);
      }),
      { numRuns: 60 },
    );
  });

  it('writes jsonb as PostgreSQL does, however it was written', async () => {
    const number = fc
      .tuple(fc.constantFrom('', '-'), fc.stringMatching(/^(0|[1-9]\d{0,12})(\.\d{1,8})?([eE][+-]?\d{1,2})?$/))
      .map((parts) => parts.join(''));
    const spaced = fc.letrec<{ value: string }>((tie) => ({
      value: fc.oneof(
        { depthSize: 'small', withCrossShrink: true },
        number,
        json,
        fc.array(tie('value'), { maxLength: 3 }).map((items) => `[${items.join(' ,')}]`),
        fc
          .array(fc.tuple(fc.string({ unit: 'grapheme', maxLength: 4 }), tie('value')), { maxLength: 4 })
          .map(
            (entries) =>
              `{${entries.map(([key, value]) => `${withoutNul(JSON.stringify(key))}:${value}`).join(',\n')}}`,
          ),
      ),
    })).value;
    await fc.assert(
      fc.asyncProperty(fc.array(spaced, { minLength: 1, maxLength: 10 }), async (values) => {
        const { rows } = await sql<{ text: string }>`SELECT v::jsonb::text AS text
          FROM unnest(${values}::text[]) WITH ORDINALITY AS t (v, n) ORDER BY n`.execute(database.queries);
        expect(values.map(jsonbText)).toEqual(rows.map((each) => each.text));
      }),
      { numRuns: 80 },
    );
  });

  it('knows every type that the tables of this program have', async () => {
    const { server } = await startTestServer();
    const name = freshDatabaseName();
    await server.createDatabase(name);
    const migrated = server.open(name);
    onTestFinished(() => migrated.close());
    await migrate(migrated);
    const used = new Set<string>();
    for (const table of await migrated.tableNames()) {
      for (const { type } of (await migrated.tableColumns(table)).columns) used.add(type);
    }
    expect([...used].toSorted()).toEqual([...coveredTypes].toSorted());
  });
});

function convert(csv: Buffer, step: number): string[] {
  const rows: string[] = [];
  const texts = types.map((type) => columnText('source', { name: type, type }));
  const converter = new CsvToCopyText(texts, (buffer, begin, end) => rows.push(buffer.toString('utf8', begin, end)));
  for (let at = 0; at < csv.length; at += step) converter.feed(csv, at, Math.min(at + step, csv.length));
  converter.finish();
  return rows;
}
