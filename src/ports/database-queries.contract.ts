import { sql } from 'kysely';
import { describe, expect, it, onTestFinished } from 'vitest';
import { valueOf, barrier, eventually, type ContractScope } from './database-scope.contract.ts';

/** Queries, transactions and the catalogue of one database. */
export function databaseQueriesContract(scope: ContractScope): void {
  describe('queries', () => {
    it('give int8 as a number, timestamptz as a Date, bytea as a Buffer', async () => {
      const database = await scope.openFresh();
      const { rows } = await sql`SELECT ${'9007199254740991'}::int8 AS a, '2026-11-22T00:00:00.123Z'::timestamptz AS b,
        '\\xdead'::bytea AS c, ARRAY[1, NULL]::int8[] AS d, 1.5::float8 AS e, '{"a": [1]}'::jsonb AS f`.execute(
        database.queries,
      );
      expect(rows).toEqual([
        {
          a: 9007199254740991,
          b: new Date('2026-11-22T00:00:00.123Z'),
          c: Buffer.from('dead', 'hex'),
          d: [1, null],
          e: 1.5,
          f: { a: [1] },
        },
      ]);
    });

    it('say what the server calls this database and a table, and nothing else is called so', async () => {
      const database = await scope.openFresh('CREATE TABLE t (id int8); CREATE TABLE u (id int8)');
      const placeOf = async (of: typeof database, table = 't') => await of.place(of.queries, table);
      const place = await placeOf(database);
      expect(await database.transaction((queries) => database.place(queries, 't'))).toBe(place);
      expect(await placeOf(database, 'u')).not.toBe(place);
      expect(await placeOf(await scope.openFresh('CREATE TABLE t (id int8)'))).not.toBe(place);
      await database.runScript('DROP TABLE t; CREATE TABLE t (id int8)');
      const again = await placeOf(database);
      expect([again === place, again === (await placeOf(database, 'none'))]).toEqual([false, false]);
    });

    it('refuse an int8 that no number can hold and a time that no Date can, with their place, and go on', async () => {
      const database = await scope.openFresh(
        'CREATE TABLE t (number int8, numbers int8[], at timestamptz); INSERT INTO t VALUES (9007199254740993, ARRAY[-9007199254740993]::int8[], $$infinity$$)',
      );
      const failed = async (column: string): Promise<unknown> =>
        await sql`SELECT ${sql.ref(column)} FROM t`.execute(database.queries).catch((error: unknown) => error);
      for (const [column, value] of [
        ['number', '9007199254740993'],
        ['numbers', '-9007199254740993'],
        ['at', 'Infinity'],
      ] as const) {
        const message = expect.stringContaining(`t.${column} in the database is ${value}`) as string;
        expect(await failed(column)).toMatchObject({ code: 'damaged', message });
      }
      expect(await valueOf(database, sql`SELECT 1::int8 AS value`)).toBe(1);
    });

    it('run in UTC with the same settings whatever the database says', async () => {
      const database = await scope.openFresh();
      await database.runScript(
        `ALTER DATABASE ${database.name} SET timezone TO 'Asia/Tokyo'; ALTER DATABASE ${database.name} SET bytea_output TO 'escape'`,
      );
      const again = await scope.openExisting(database.name);
      expect(
        await valueOf(again, sql`SELECT '2026-11-22T00:00:00Z'::timestamptz::text || '\\x00'::bytea::text AS value`),
      ).toBe('2026-11-22 00:00:00+00\\x00');
    });

    scope.with('sessions are ended from outside', it)(
      'fail with a typed error when the session is ended, and the pool then goes on',
      async () => {
        const database = await scope.openFresh('CREATE TABLE t (id int8)', 1);
        const pid = await valueOf(database, sql`SELECT pg_backend_pid() AS value`);
        await sql`SELECT pg_terminate_backend(${pid}::int4)`.execute((await scope.admin()).queries);
        await eventually(async () => expect(await database.tableNames()).toEqual(['t']));
        await expect(
          sql`SELECT pg_terminate_backend(pg_backend_pid())`.execute(database.queries),
        ).rejects.toMatchObject({
          code: 'database-unreachable',
        });
        expect(await database.tableNames()).toEqual(['t']);
      },
    );

    scope.with('sessions are ended from outside', it)(
      'survive that the session of an open transaction is ended',
      async () => {
        const database = await scope.openFresh('CREATE TABLE t (id int8)', 1);
        const root = await scope.admin();
        const failed = database.transaction(async (queries) => {
          const { rows } = await sql<{ pid: number }>`SELECT pg_backend_pid() AS pid`.execute(queries);
          await sql`SELECT pg_terminate_backend(${rows[0]!.pid}::int4)`.execute(root.queries);
          await new Promise((resolve) => setTimeout(resolve, 50));
          await sql`INSERT INTO t VALUES (1)`.execute(queries);
        });
        await expect(failed).rejects.toMatchObject({ code: 'database-unreachable' });
        expect(await database.countRows('t')).toBe(0);
      },
    );

    it('tell which rows were written later than another one, and see through changes in place', async () => {
      const database = await scope.openFresh(
        'CREATE TABLE t (id int8, v int8); CREATE TABLE mark (position int8 PRIMARY KEY); INSERT INTO t SELECT i, 0 FROM generate_series(1, 10) i',
      );
      await database.transaction(async (queries) => {
        await sql`INSERT INTO t VALUES (11, 0)`.execute(queries);
        await sql`INSERT INTO mark VALUES (7)`.execute(queries);
      });
      const since = (value: number): Promise<number> =>
        database.countRowsSince('t', { table: 'mark', column: 'position', value });
      expect(await since(7)).toBe(0);
      await sql`UPDATE t SET v = 1 WHERE id <= 3`.execute(database.queries);
      await sql`INSERT INTO t VALUES (12, 0)`.execute(database.queries);
      await sql`DELETE FROM t WHERE id = 10`.execute(database.queries);
      expect([await since(7), await database.countRows('t')]).toEqual([4, 11]);
      expect(await since(8)).toBe(11);
    });

    it('name the database that is not there, without any password', async () => {
      const database = scope.server.open('nowhere');
      onTestFinished(() => database.close());
      const error = await database.tableNames().catch((each: unknown) => each as Error);
      expect(error).toMatchObject({
        code: 'database-unreachable',
        message: expect.stringContaining('nowhere') as string,
      });
      expect(JSON.stringify([error, String(error)])).not.toContain(String(database.connection.options['password']));
    });
  });

  describe('runScript', () => {
    it('does all of a script or nothing', async () => {
      const database = await scope.openFresh();
      await expect(database.runScript('CREATE TABLE a (id int8); CREATE TABLE b (id nonsense)')).rejects.toMatchObject({
        code: '42704',
      });
      expect(await database.tableNames()).toEqual([]);
      await database.runScript('CREATE TABLE b (id int8); CREATE TABLE "A" (id int8);');
      expect(await database.tableNames()).toEqual(['A', 'b']);
    });
  });

  describe('transaction', () => {
    it('runs again where two would not have the effect of one after the other', async () => {
      const database = await scope.openFresh(
        'CREATE TABLE oncall (name text PRIMARY KEY, on_call boolean); INSERT INTO oncall VALUES ($$a$$, true), ($$b$$, true)',
      );
      let attempts = 0;
      const bothHaveRead = barrier(2);
      const leave = (who: string): Promise<boolean> =>
        database.transaction(async (queries) => {
          attempts += 1;
          const { rows } = await sql<{ count: number }>`SELECT count(*) AS count FROM oncall WHERE on_call`.execute(
            queries,
          );
          await bothHaveRead();
          if (rows[0]!.count < 2) return false;
          await sql`UPDATE oncall SET on_call = false WHERE name = ${who}`.execute(queries);
          return true;
        });
      const left = await Promise.all([leave('a'), leave('b')]);
      expect(left.toSorted()).toEqual([false, true]);
      expect(attempts).toBe(3);
      expect(await valueOf(database, sql`SELECT count(*) AS value FROM oncall WHERE on_call`)).toBe(1);
    });

    scope.with('anonymous blocks', it)('gives up after ten attempts', async () => {
      const database = await scope.openFresh();
      let attempts = 0;
      const failed = database.transaction(async (queries) => {
        attempts += 1;
        await sql`DO $$ BEGIN RAISE SQLSTATE '40001'; END $$`.execute(queries);
      });
      await expect(failed).rejects.toMatchObject({ code: 'database-unreachable' });
      expect(attempts).toBe(10);
    });

    it('undoes everything when the work throws, and does not run it again', async () => {
      const database = await scope.openFresh('CREATE TABLE t (id int8 PRIMARY KEY)');
      let attempts = 0;
      const failed = database.transaction(async (queries) => {
        attempts += 1;
        await sql`INSERT INTO t VALUES (1)`.execute(queries);
        throw new RangeError('mine');
      });
      await expect(failed).rejects.toThrow(new RangeError('mine'));
      expect([attempts, await database.countRows('t')]).toEqual([1, 0]);
    });
  });

  describe('tables', () => {
    it('have the columns of the primary key first, then the others in their order', async () => {
      const database = await scope.openFresh(
        'CREATE TABLE t ("a b" text, k2 uuid, c bytea, k1 int4, d boolean, e timestamptz, f jsonb, g float8, h int8, i text[], PRIMARY KEY (k1, k2)); CREATE TABLE n (x int8)',
      );
      expect(await database.tableColumns('t')).toEqual({
        keyColumns: 2,
        columns: [
          ['k1', 'int4'],
          ['k2', 'uuid'],
          ['a b', 'text'],
          ['c', 'bytea'],
          ['d', 'boolean'],
          ['e', 'timestamptz'],
          ['f', 'jsonb'],
          ['g', 'float8'],
          ['h', 'int8'],
          ['i', 'text[]'],
        ].map(([column, type]) => ({ name: column, type })),
      });
      expect(await database.tableColumns('n')).toEqual({ keyColumns: 0, columns: [{ name: 'x', type: 'int8' }] });
    });
  });
}
