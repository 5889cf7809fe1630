import { sql } from 'kysely';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { TableRange } from './database.ts';
import {
  valueOf,
  collect,
  readAll,
  snapshotRows,
  rangeRows,
  barrier,
  type ContractScope,
} from './database-scope.contract.ts';

/** The bulk paths of one database: snapshots, rows out and in, indexes. */
export function databaseTransferContract(scope: ContractScope): void {
  describe('snapshot', () => {
    const table =
      'CREATE TABLE t (id int8 PRIMARY KEY, body text); INSERT INTO t SELECT i, i::text FROM generate_series(1, 100) i';

    it('shows its reader the rows of its moment, whatever is written after', async () => {
      const database = await scope.openFresh(table);
      const snapshot = await database.snapshot(['t']);
      onTestFinished(() => snapshot.close());
      await database.runScript(
        `DELETE FROM t WHERE id <= 50; INSERT INTO t VALUES (1000, 'later'); UPDATE t SET body = 'changed'`,
      );
      const rows = await readAll(scope.subject, database, snapshot.token, await snapshot.ranges('t'));
      expect(rows).toEqual(Array.from({ length: 100 }, (_, index) => `${index + 1}\t${index + 1}\n`));
      expect([await snapshot.countRows('t'), await database.countRows('t')]).toEqual([100, 51]);
      const serverNow = (await valueOf(database, sql`SELECT clock_timestamp() AS value`)) as Date;
      expect(Math.abs(serverNow.getTime() - snapshot.takenAt.getTime())).toBeLessThan(30_000);
    });

    scope.with('snapshots lock and end', it)('keeps a TRUNCATE out until it is closed', async () => {
      const database = await scope.openFresh(table);
      const snapshot = await database.snapshot(['t']);
      await expect(database.runScript(`SET LOCAL lock_timeout = '100ms'; TRUNCATE t`)).rejects.toMatchObject({
        code: 'database-unreachable',
      });
      expect(await snapshot.countRows('t')).toBe(100);
      await snapshot.close();
      await database.runScript('TRUNCATE t');
      expect(await database.countRows('t')).toBe(0);
    });

    scope.with('snapshots lock and end', it)(
      'waits for a TRUNCATE that was first, and then shows the empty table',
      async () => {
        const database = await scope.openFresh(table);
        const begun = barrier(2);
        const truncating = database.transaction(async (queries) => {
          await sql`TRUNCATE t`.execute(queries);
          await begun();
          await new Promise((resolve) => setTimeout(resolve, 300));
        });
        await begun();
        const snapshot = await database.snapshot(['t']);
        onTestFinished(() => snapshot.close());
        await truncating;
        expect(await snapshot.countRows('t')).toBe(0);
        expect(await readAll(scope.subject, database, snapshot.token, await snapshot.ranges('t'))).toEqual([]);
      },
    );

    scope.with('snapshots lock and end', it)('is gone for readers once it is closed', async () => {
      const database = await scope.openFresh(table);
      const snapshot = await database.snapshot(['t']);
      await snapshot.close();
      await expect(scope.subject.openReader(database.connection, snapshot.token)).rejects.toMatchObject({
        code: 'database-unreachable',
      });
    });

    it('of no tables is a snapshot too', async () => {
      const snapshot = await (await scope.openFresh()).snapshot([]);
      expect(snapshot.token).toMatch(/./);
      await snapshot.close();
    });

    scope.with('pages', it)(
      'splits a large table into ranges that hold each row once, and whose rows stay as the table grows',
      async () => {
        const database = await scope.openFresh(
          `CREATE TABLE t (id int8 PRIMARY KEY, pad text) WITH (fillfactor = 10, autovacuum_enabled = false); ALTER TABLE t ALTER pad SET STORAGE PLAIN;
         INSERT INTO t SELECT i, repeat('x', 700) FROM generate_series(1, 9000) i`,
        );
        const before = await rangeRows(scope.subject, database, 't');
        expect(before.length).toBeGreaterThan(1);
        expect(before.flat().length).toBe(9000);
        expect(new Set(before.flat()).size).toBe(9000);
        await database.runScript(`INSERT INTO t SELECT i, repeat('y', 700) FROM generate_series(9001, 18000) i`);
        const after = await rangeRows(scope.subject, database, 't');
        expect(after.length).toBeGreaterThan(before.length);
        expect(after[0]).toEqual(before[0]);
        expect(new Set(after.flat()).size).toBe(18000);
      },
    );
  });

  describe('row transfer', () => {
    const values = `CREATE TABLE v (id int8 PRIMARY KEY, a text, b bytea, c jsonb, d timestamptz, e boolean, f float8, g uuid, h text[]);
      INSERT INTO v VALUES
        (1, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
        (2, '', '', '""', '-infinity', true, 'NaN', '00000000-0000-0000-0000-000000000000', '{}'),
        (3, E'back\\\\slash \\\\N \\\\. tab\\t new\\nline \\r \\b \\f \\v', '\\x00ff5c0a09', '{"k": "\\\\ \\" \\n"}', '2026-11-22 01:02:03.456789+09', false, -0.0, NULL, ARRAY[NULL, '', 'NULL', E'\\\\', '"', '{,}']),
        (4, 'ünïcødé 日本語 🔐', decode(repeat('0a5c09', 1000), 'hex'), '[1e10, {"": null}]', 'infinity', NULL, 'Infinity', NULL, ARRAY[['a'], ['b']]),
        (5, E'\\\\.', '\\x5c2e', '{}', '0001-01-01 00:00:00+00 BC', true, 1.7976931348623157e308, NULL, NULL),
        (6, E'\\n', '\\x0a', 'null', '294276-12-31 23:59:59.999999+00', true, 5e-324, NULL, '{"\\n"}')`;

    scope.with('every type', it)('brings every value back as it was, byte for byte', async () => {
      const source = await scope.openFresh(values);
      const target = await scope.openFresh(values.slice(0, values.indexOf(';')));
      const { columns } = await source.tableColumns('v');
      const rows = await snapshotRows(scope.subject, source, 'v');
      const writer = await scope.subject.openWriter(target.connection);
      onTestFinished(() => writer.close());
      expect(
        await writer.load(
          'v',
          columns.map((column) => column.name),
          Buffer.from(rows.join(''), 'latin1'),
        ),
      ).toBe(6);
      expect(await snapshotRows(scope.subject, target, 'v')).toEqual(rows);
      // As text: no value of this program can hold an infinite time.
      const all = sql`SELECT v::text AS row FROM v ORDER BY id`;
      expect((await all.execute(target.queries)).rows).toEqual((await all.execute(source.queries)).rows);
    });

    it('passes on rows larger than any buffer, and waits for its sink', async () => {
      const database = await scope.openFresh(`CREATE TABLE v (id int8 PRIMARY KEY, body text);
        INSERT INTO v SELECT i, repeat(chr(96 + i), CASE WHEN i % 2 = 0 THEN 5000000 ELSE i END) FROM generate_series(1, 9) i`);
      let waiting = 0;
      const rows = await snapshotRows(scope.subject, database, 'v', () => {
        waiting += 1;
        return waiting % 7 === 0 ? new Promise((resolve) => setTimeout(resolve, 2)) : undefined;
      });
      expect(rows.map((row) => row.length)).toEqual([4, 5000003, 6, 5000003, 8, 5000003, 10, 5000003, 12]);
      expect(waiting).toBeGreaterThan(7);
      const target = await scope.openFresh('CREATE TABLE v (id int8 PRIMARY KEY, body text)');
      const writer = await scope.subject.openWriter(target.connection);
      onTestFinished(() => writer.close());
      expect(await writer.load('v', ['id', 'body'], Buffer.from(rows.join(''), 'latin1'))).toBe(9);
      expect(await snapshotRows(scope.subject, target, 'v')).toEqual(rows);
    });

    it('reads many small rows, one call each', async () => {
      const database = await scope.openFresh(
        `CREATE TABLE v (id int8 PRIMARY KEY); INSERT INTO v SELECT generate_series(1, 200000)`,
      );
      const rows = await snapshotRows(scope.subject, database, 'v');
      expect(rows.length).toBe(200_000);
      expect(rows.every((row, index) => row === `${index + 1}\n`)).toBe(true);
    });

    it('loads all rows or none, and goes on after rows that were refused', async () => {
      const database = await scope.openFresh('CREATE TABLE v (id int8 PRIMARY KEY, body text)');
      const writer = await scope.subject.openWriter(database.connection);
      onTestFinished(() => writer.close());
      const many = Array.from({ length: 100_000 }, (_, index) => `${index}\tbody of the row\n`).join('');
      await expect(writer.load('v', ['id', 'body'], Buffer.from(`${many}1\tagain\n`))).rejects.toMatchObject({
        code: '23505',
      });
      await expect(writer.load('v', ['id', 'body'], Buffer.from(`not a number\tx\n${many}`))).rejects.toMatchObject({
        code: '22P02',
      });
      await expect(writer.load('v', ['id', 'nothing'], Buffer.from(many))).rejects.toMatchObject({ code: '42703' });
      expect(await database.countRows('v')).toBe(0);
      expect(await writer.load('v', ['id', 'body'], Buffer.from(many))).toBe(100_000);
      expect(await writer.load('v', ['id', 'body'], Buffer.alloc(0))).toBe(0);
      expect(await database.countRows('v')).toBe(100_000);
    });

    const large = `CREATE TABLE v (id int8 PRIMARY KEY, body text); INSERT INTO v SELECT i, repeat('x', 500) FROM generate_series(1, 60000) i`;

    it('fails with what its sink throws', async () => {
      const database = await scope.openFresh(large);
      await expect(
        snapshotRows(scope.subject, database, 'v', undefined, () => {
          throw new RangeError('enough');
        }),
      ).rejects.toThrow(new RangeError('enough'));
    });

    scope.with('sessions are ended from outside', it)(
      'never takes an ended session for the end of a table',
      async () => {
        const database = await scope.openFresh(large);
        const root = await scope.admin();
        let ended = false;
        const end = async (): Promise<void> => {
          ended = true;
          await sql`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = ${database.name} AND query LIKE 'COPY%'`.execute(
            root.queries,
          );
        };
        const reading = snapshotRows(scope.subject, database, 'v', () => (ended ? undefined : end()));
        await expect(reading).rejects.toMatchObject({ code: 'database-unreachable' });
      },
    );

    it('ends at once when it is closed in the middle', async () => {
      const database = await scope.openFresh(large);
      const snapshot = await database.snapshot(['v']);
      onTestFinished(() => snapshot.close());
      const [range] = await snapshot.ranges('v');
      const reader = await scope.subject.openReader(database.connection, snapshot.token);
      const reading = reader.read(range!, { row: () => undefined, ready: () => new Promise(() => undefined) });
      await Promise.all([
        expect(reading).rejects.toMatchObject({ code: 'database-unreachable' }),
        new Promise((resolve) => setTimeout(resolve, 20)).then(() => reader.close()),
      ]);
    });

    it('reports a table that is not there, by its SQLSTATE', async () => {
      const database = await scope.openFresh(large);
      const snapshot = await database.snapshot([]);
      onTestFinished(() => snapshot.close());
      const reader = await scope.subject.openReader(database.connection, snapshot.token);
      onTestFinished(() => reader.close());
      const range: TableRange = { table: 'w', columns: ['id'], keyColumns: 1, condition: null, estimatedBytes: 0 };
      await expect(reader.read(range, collect([]))).rejects.toMatchObject({ code: '42P01' });
    });
  });

  describe('definitions', () => {
    const script = `CREATE TABLE parent (id int8 PRIMARY KEY, code text NOT NULL UNIQUE);
      CREATE TABLE child (id int8 PRIMARY KEY, parent int8 REFERENCES parent (id), body text CHECK (body <> ''));
      CREATE INDEX child_parent ON child (parent)`;
    const texts = async (more: string): Promise<string[]> =>
      (await (await scope.openFresh(`${script}; ${more}`)).definitions()).map(({ text }) => text);

    it('are the same for databases that were made alike, whatever rows they hold', async () => {
      const found = await texts(`INSERT INTO parent VALUES (1, 'x')`);
      expect(found).toEqual(await texts(''));
      expect(found).toEqual(expect.arrayContaining([expect.stringContaining('child_parent')]));
    });

    it.each([
      'DROP INDEX child_parent',
      'ALTER TABLE child DROP CONSTRAINT child_parent_fkey',
      ...(scope.lacks.has('names of unnamed checks') ? [] : ['ALTER TABLE child DROP CONSTRAINT child_body_check']),
      'ALTER TABLE parent ALTER COLUMN code DROP NOT NULL',
      `ALTER TABLE parent ALTER COLUMN code SET DEFAULT 'x'`,
      'ALTER TABLE parent ADD COLUMN more text',
      'CREATE VIEW seen AS SELECT * FROM parent',
    ])('tell of %s', async (change) => {
      expect(await texts(change)).not.toEqual(await texts(''));
    });
  });

  describe('access rules', () => {
    const script = 'CREATE TABLE t (id int8 PRIMARY KEY)';
    const rules = async (more: (name: string) => string): Promise<string[]> => {
      const { name } = await scope.openFresh(script);
      const root = await scope.admin();
      if (more(name) !== '') await root.runScript(more(name));
      return await (await scope.openExisting(name)).accessRules();
    };

    it('of a new database are the same each time, and name none', async () => {
      const found = await rules(() => '');
      expect(found).toEqual(await rules(() => ''));
      expect(found.join()).not.toContain('contract_');
    });

    it('tell who else may do what, and which settings sessions begin with', async () => {
      const role = `reader_${scope.freshName()}`;
      const usual = await rules(() => '');
      const found = await rules(
        (name) =>
          `CREATE ROLE ${role}; GRANT CREATE ON DATABASE ${name} TO ${role}; ALTER DATABASE ${name} SET search_path TO 'evil'`,
      );
      expect(found.filter((text) => !usual.includes(text))).toEqual([
        `role "${role}" may CREATE on the database`,
        'the setting search_path=evil',
      ]);
    });

    it('tell of tables that others may read', async () => {
      const database = await scope.openFresh(script);
      const usual = await database.accessRules();
      await database.runScript('GRANT SELECT ON t TO public');
      expect((await database.accessRules()).filter((text) => !usual.includes(text))).toEqual([
        'everybody may SELECT on table "t"',
      ]);
    });
  });

  scope.with('indexes come off', describe)('detachIndexes', () => {
    const script = `CREATE TABLE parent (id int8 PRIMARY KEY, code text NOT NULL, CONSTRAINT codes UNIQUE (code));
      CREATE TABLE child (a int8, b int8, parent int8 NOT NULL REFERENCES parent ON DELETE CASCADE, code text REFERENCES parent (code) DEFERRABLE, body text CHECK (body <> ''), PRIMARY KEY (b, a));
      CREATE INDEX "child index" ON child (lower(body) DESC NULLS LAST) INCLUDE (code) WHERE parent > 0;
      CREATE UNIQUE INDEX child_code ON child (code);
      CREATE TABLE "odd keys" ("a b" int8, "c)" text, d int8, CONSTRAINT "two, named" UNIQUE ("a b", d), CONSTRAINT brackets UNIQUE ("c)"),
        CONSTRAINT later UNIQUE (d) DEFERRABLE INITIALLY DEFERRED, CONSTRAINT nulls UNIQUE NULLS NOT DISTINCT ("a b"),
        CONSTRAINT more UNIQUE (d) INCLUDE ("a b"));
      INSERT INTO parent VALUES (1, 'x'); INSERT INTO child VALUES (1, 2, 1, 'x', 'body')`;
    const indexes = sql`SELECT indexname || ': ' || indexdef AS value FROM pg_indexes WHERE schemaname = 'public' UNION ALL
      SELECT conname || ': ' || pg_get_constraintdef(oid) FROM pg_constraint WHERE connamespace = 'public'::regnamespace ORDER BY 1`;

    it('drops all indexes and foreign keys, and attach brings each back as it was', async () => {
      const database = await scope.openFresh(script);
      const before = (await indexes.execute(database.queries)).rows;
      const detached = await database.detachIndexes();
      expect(await valueOf(database, sql`SELECT count(*) AS value FROM pg_indexes WHERE schemaname = 'public'`)).toBe(
        0,
      );
      expect(await valueOf(database, sql`SELECT count(*) AS value FROM pg_constraint WHERE contype = 'f'`)).toBe(0);
      await detached.attach();
      expect((await indexes.execute(database.queries)).rows).toEqual(before);
      await expect(database.runScript(`INSERT INTO child VALUES (1, 3, 99, NULL, 'body')`)).rejects.toMatchObject({
        code: '23503',
      });
    });

    it('fails to attach where the loaded rows break a key or a reference', async () => {
      for (const bad of [`INSERT INTO parent VALUES (1, 'y')`, `INSERT INTO child VALUES (5, 5, 99, NULL, 'body')`]) {
        const database = await scope.openFresh(script);
        const detached = await database.detachIndexes();
        await database.runScript(bad);
        await expect(detached.attach()).rejects.toMatchObject({ code: expect.stringMatching(/^23/) as string });
      }
    });

    it('notices a definition that is not what it was', async () => {
      const database = await scope.openFresh(script);
      const detached = await database.detachIndexes();
      await database.runScript('CREATE INDEX stray ON parent (code)');
      await expect(detached.attach()).rejects.toMatchObject({
        code: 'restore-failed',
        message: expect.stringContaining('stray') as string,
      });
    });
  });
}
