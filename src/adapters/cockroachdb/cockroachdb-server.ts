import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import type { Database, DatabaseServer } from '#ports/database.ts';
import {
  describeOptions,
  parseDatabaseUrl,
  type PostgresqlOptions,
  type SessionOptions,
} from '#postgresql-protocol/connection-options.ts';
import { findServer, type FoundServer } from '#postgresql-protocol/find-server.ts';
import { quoteIdentifier } from '#postgresql-protocol/identifier-quoting.ts';
import { openQueryPool, type QueryPool } from '#postgresql-protocol/query-pool.ts';
import { databaseIdentity } from '#postgresql-protocol/rename-database.ts';
import { queryLimits, withSession } from '#postgresql-protocol/session.ts';
import { swapInTwoSteps } from '#postgresql-protocol/two-step-swap.ts';
import { checkVersion } from './check-version.ts';
import { openDatabase } from './cockroachdb-database.ts';
import { createDatabase } from './create-database.ts';
import { endSessions } from './end-sessions.ts';
import { missingPrivileges } from './privileges.ts';
import { renameSteps } from './rename-steps.ts';
import { cockroachdbSession, knownSettingsQuery } from './session-settings.ts';

export interface ConnectOptions {
  /** `postgres://…`, or options made from it before. */
  readonly server: string | PostgresqlOptions;
  /** Where the server was asked already which engine it is. */
  readonly found?: FoundServer;
}

/** Connects to CockroachDB 23.1 or newer. Throws `database-unreachable`, `configuration`, `version-incompatible`. */
export async function connectCockroachdb({ server, found }: ConnectOptions): Promise<DatabaseServer> {
  const given = typeof server === 'string' ? parseDatabaseUrl(server) : server;
  const asked = found ?? (await findServer(given));
  const version = checkVersion(asked, describeOptions(given));
  const plain = { ...asked.options, database: given.database };
  const known = await withSession(cockroachdbSession(plain), asked.maintenance, queryLimits, ({ rows }) =>
    rows<{ name: string }>(knownSettingsQuery),
  );
  const options = cockroachdbSession(
    plain,
    known.map(({ name }) => name),
  );
  return makeServer(options, asked.maintenance, version);
}

function makeServer(options: SessionOptions, maintenance: string, version: string): DatabaseServer {
  const live = options.database;
  const pool = openQueryPool(options, maintenance, 2);
  const opened = new Set<Database>();
  return {
    engine: 'cockroachdb',
    version,
    liveName: live,
    location: describeOptions(options),
    databaseNames: (prefix) => databaseNames(pool, prefix),
    databaseIdentity: (name) => databaseIdentity(pool.rows, name),
    createDatabase: (name, { like } = {}) => createDatabase(pool, name, like),
    dropDatabase: (name) => dropDatabase(pool, name),
    open: (name, { connections } = {}) => {
      const database = openDatabase(options, name, connections);
      opened.add(database);
      return { ...database, close: () => database.close().finally(() => opened.delete(database)) };
    },
    databaseSizeBytes: (name) => databaseSizeBytes(pool, name),
    // Where its nodes keep their data, nobody can ask over the network.
    freeBytes: () => Promise.resolve(undefined),
    missingPrivileges: () => missingPrivileges(pool.rows, { live, maintenance }),
    swap: async (names) => {
      if (maintenance === names.live || maintenance === names.staging) throw renameFromInside(maintenance);
      await swapInTwoSteps(renameSteps(options, maintenance), names);
    },
    close: async () => {
      await Promise.all([...opened].map((database) => database.close()));
      await pool.close();
    },
  };
}

async function databaseNames(pool: QueryPool, prefix: string): Promise<string[]> {
  const found = await pool.rows<{ name: string }>('SELECT datname AS name FROM pg_catalog.pg_database');
  return found
    .map(({ name }) => name)
    .filter((name) => name.startsWith(prefix))
    .toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
}

async function dropDatabase(pool: QueryPool, name: string): Promise<void> {
  await endSessions(pool.rows, name);
  await pool.rows(`DROP DATABASE IF EXISTS ${quoteIdentifier(name)} CASCADE`);
}

async function databaseSizeBytes(pool: QueryPool, name: string): Promise<number> {
  if ((await databaseIdentity(pool.rows, name)) === undefined) return 0;
  const [row] = await pool.rows<{ bytes: number }>(
    `SELECT COALESCE(sum(range_size), 0)::int8 AS bytes FROM [SHOW RANGES FROM DATABASE ${quoteIdentifier(name)} WITH DETAILS]`,
  );
  return row!.bytes;
}

function renameFromInside(database: string): EnclaveManagerError {
  return new EnclaveManagerError(
    'database-unreachable',
    `the role can connect to no database besides "${database}", and that cannot be renamed from inside`,
    { hint: 'Let the role connect to the database "postgres" or "defaultdb".' },
  );
}
