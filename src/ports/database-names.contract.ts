import { sql } from 'kysely';
import { describe, expect, it, onTestFinished } from 'vitest';
import { valueOf, databaseFacts, type ContractScope } from './database-scope.contract.ts';

/** Databases of one server: created, listed, told apart, dropped. */
export function databaseNamesContract(scope: ContractScope): void {
  describe('databases', () => {
    it('creates an empty UTF-8 database and refuses a name that is taken', async () => {
      const database = await scope.openFresh();
      expect(await database.tableNames()).toEqual([]);
      expect(await valueOf(database, sql`SELECT current_setting('server_encoding') AS value`)).toBe('UTF8');
      await expect(scope.server.createDatabase(database.name)).rejects.toMatchObject({ code: '42P04' });
    });

    it('lists the names that begin with a prefix, sorted, and takes no character of the prefix for a pattern', async () => {
      for (const each of ['list_b', 'list_a', 'listXc']) await scope.server.createDatabase(each);
      expect(await scope.server.databaseNames('list_')).toEqual(['list_a', 'list_b']);
    });

    it('gives another identity to another database of the same name, and none where there is none', async () => {
      const fresh = scope.freshName();
      expect(await scope.server.databaseIdentity(fresh)).toBeUndefined();
      await scope.server.createDatabase(fresh);
      const first = await scope.server.databaseIdentity(fresh);
      expect(await scope.server.databaseIdentity(fresh)).toBe(first);
      await scope.server.dropDatabase(fresh);
      await scope.server.createDatabase(fresh);
      const second = await scope.server.databaseIdentity(fresh);
      expect(second).toEqual(expect.any(String));
      expect(second).not.toBe(first);
    });

    scope.with('PostgreSQL roles and grants', it)(
      'copies owner, grants, settings and connection limit of the database it is to be like',
      async () => {
        const [model, copy] = [scope.freshName(), scope.freshName()];
        await scope.server.createDatabase(model);
        const root = await scope.admin();
        for (const statement of [
          'CREATE ROLE "odd ""owner"""',
          'CREATE ROLE reader',
          `ALTER DATABASE ${model} OWNER TO "odd ""owner"""`,
          `REVOKE ALL ON DATABASE ${model} FROM PUBLIC`,
          `GRANT CONNECT ON DATABASE ${model} TO reader WITH GRANT OPTION`,
          `ALTER DATABASE ${model} SET search_path TO "$user", public`,
          `ALTER DATABASE ${model} SET work_mem TO '7MB'`,
          `ALTER ROLE reader IN DATABASE ${model} SET application_name TO 'it''s \\ "me", x'`,
          `ALTER DATABASE ${model} CONNECTION LIMIT 17`,
        ]) {
          await root.queries.executeQuery(sql.raw(statement).compile(root.queries));
        }
        await scope.server.createDatabase(copy, { like: model });
        const facts = await Promise.all([model, copy].map((each) => databaseFacts(root, each)));
        expect(facts[1]).toEqual(facts[0]);
        expect(facts[0]).toMatchObject({ owner: 'odd "owner"', limit: 17 });
      },
    );

    it('says that there is no database to be like, and creates nothing', async () => {
      const fresh = scope.freshName();
      await expect(scope.server.createDatabase(fresh, { like: 'nowhere' })).rejects.toMatchObject({
        code: 'not-found',
      });
      expect(await scope.server.databaseIdentity(fresh)).toBeUndefined();
    });

    it('drops a database although sessions use it; one that is not there counts as dropped', async () => {
      const database = await scope.openFresh('CREATE TABLE t (id int8)');
      await scope.server.dropDatabase(database.name);
      await scope.server.dropDatabase(database.name);
      expect(await scope.server.databaseIdentity(database.name)).toBeUndefined();
      await expect(database.tableNames()).rejects.toMatchObject({ code: 'database-unreachable' });
    });

    scope.with('empty databases have a size', it)('measures a database, and says 0 where there is none', async () => {
      const database = await scope.openFresh();
      expect(await scope.server.databaseSizeBytes(database.name)).toBeGreaterThan(1_000_000);
      expect(await scope.server.databaseSizeBytes('nowhere')).toBe(0);
    });

    it('treats any name as a name', async () => {
      const odd = `odd"; DROP DATABASE x; -- '\\ é`;
      await scope.server.createDatabase(odd);
      expect(await scope.server.databaseNames('odd"')).toEqual([odd]);
      expect(await (await scope.openExisting(odd)).tableNames()).toEqual([]);
      await scope.server.dropDatabase(odd);
      expect(await scope.server.databaseNames('odd"')).toEqual([]);
    });
  });

  describe('freeBytes', () => {
    it('is a number of bytes, or undefined where nobody can ask', async () => {
      const free = await scope.server.freeBytes();
      expect(free === undefined || free > 0).toBe(true);
    });
  });

  scope.with('PostgreSQL roles and grants', describe)('missingPrivileges', () => {
    it('is empty for a superuser, and names what another role lacks', async () => {
      expect(await scope.server.missingPrivileges()).toEqual([]);
      if ((await scope.server.databaseIdentity(scope.server.liveName)) === undefined)
        await scope.server.createDatabase(scope.server.liveName);
      const root = await scope.admin();
      await root.runScript(`CREATE ROLE plain LOGIN PASSWORD 'plain-password'; CREATE ROLE able LOGIN CREATEDB PASSWORD 'able-password';
        GRANT pg_signal_backend TO able; ALTER DATABASE "${scope.server.liveName}" OWNER TO able`);
      const plain = await scope.subject.connectAs('plain', 'plain-password');
      onTestFinished(() => plain.close());
      expect((await plain.missingPrivileges()).join(' ')).toMatch(
        /CREATEDB.*member of the owner of "[^"]+": GRANT [^;]+;$/,
      );
      await scope.openExisting(scope.server.liveName, 'SELECT 1');
      // Only while other roles use the database: a restore ends their sessions.
      expect((await plain.missingPrivileges()).join(' ')).toMatch(/CREATEDB.*member of the owner.*pg_signal_backend/s);
      const able = await scope.subject.connectAs('able', 'able-password');
      onTestFinished(() => able.close());
      expect(await able.missingPrivileges()).toEqual([]);
    });

    it('empty means that a restore works: create like live, swap, drop', async () => {
      const able = await scope.subject.connectAs('able', 'able-password');
      onTestFinished(() => able.close());
      await able.createDatabase('able_staging', { like: able.liveName });
      const expectedLive = await able.databaseIdentity(able.liveName);
      // Another role's session, which the swap has to end; that of a superuser it could not.
      const plain = await scope.subject.connectAs('plain', 'plain-password');
      onTestFinished(() => plain.close());
      await plain.open(plain.liveName).runScript('SELECT 1');
      await able.swap({ live: able.liveName, staging: 'able_staging', before: 'able_before', expectedLive });
      expect(await able.databaseIdentity('able_before')).toBe(expectedLive);
      await able.dropDatabase('able_before');
      expect(await able.databaseNames('able')).toEqual([]);
    });
  });
}
