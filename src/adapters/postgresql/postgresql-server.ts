import { statfs } from 'node:fs/promises';
import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import type { Database, DatabaseServer } from '#ports/database.ts';
import {
  describeOptions,
  parseDatabaseUrl,
  type PostgresqlOptions,
  type SessionOptions,
} from '#postgresql-protocol/connection-options.ts';
import { findServer, type FoundServer } from '#postgresql-protocol/find-server.ts';
import { databaseIdentity } from '#postgresql-protocol/rename-database.ts';
import { swapInTwoSteps } from '#postgresql-protocol/two-step-swap.ts';
import { checkVersion } from './check-version.ts';
import { createDatabase } from './create-database.ts';
import { quoteIdentifier } from '#postgresql-protocol/identifier-quoting.ts';
import { openDatabase } from './postgresql-database.ts';
import { missingPrivileges } from './privileges.ts';
import { openQueryPool, type QueryPool } from '#postgresql-protocol/query-pool.ts';
import { postgresqlSession } from './session-settings.ts';
import { renameSteps } from './rename-steps.ts';
import { terminateSessions } from './end-sessions.ts';
import { swapDatabases } from './swap.ts';

export interface ConnectOptions {
  /** `postgres://…`, or options made from it before. */
  readonly server: string | PostgresqlOptions;
  /** Default: the database of the URL. */
  readonly liveName?: string;
  /** What a person calls it; default: the URL without its password. */
  readonly location?: string;
  /** Directory of its data, where the server runs on this machine. */
  readonly storagePath?: string;
  /** Two renames, as on an engine that cannot do both in one step; for tests. */
  readonly swap?: 'one-step' | 'two-steps' | undefined;
  /** Where the server was asked already which engine it is. */
  readonly found?: FoundServer;
}

/**
 * Connects to PostgreSQL 15 to 18. Throws `database-unreachable`, `configuration` for a wrong URL, and
 * `version-incompatible` for another major or engine.
 */
export async function connectPostgresql(connect: ConnectOptions): Promise<DatabaseServer> {
  const { server } = connect;
  const given = typeof server === 'string' ? parseDatabaseUrl(server) : server;
  const found = connect.found ?? (await findServer(given));
  const version = checkVersion(found, describeOptions(given));
  const live = connect.liveName ?? given.database;
  const options = postgresqlSession({ ...found.options, database: live });
  return makeServer({
    options,
    maintenance: found.maintenance,
    pool: openQueryPool(options, found.maintenance, 2),
    live,
    version,
    location: connect.location,
    storagePath: connect.storagePath,
    swap: connect.swap ?? 'one-step',
  });
}

interface ServerParts {
  readonly options: SessionOptions;
  readonly maintenance: string;
  readonly pool: QueryPool;
  readonly live: string;
  readonly version: string;
  readonly location: string | undefined;
  readonly storagePath: string | undefined;
  readonly swap: 'one-step' | 'two-steps';
}

function makeServer(parts: ServerParts): DatabaseServer {
  const { options, maintenance, pool, live, version } = parts;
  const opened = new Set<Database>();
  return {
    engine: 'postgresql',
    version,
    liveName: live,
    location: parts.location ?? describeOptions(options),
    databaseNames: (prefix) => databaseNames(pool, prefix),
    databaseIdentity: (name) => databaseIdentity(pool.rows, name),
    createDatabase: (name, { like } = {}) => createDatabase(pool, name, like, Number.parseInt(version, 10)),
    dropDatabase: (name) => dropDatabase(pool, name),
    open: (name, { connections } = {}) => {
      const database = openDatabase(options, name, connections);
      opened.add(database);
      return { ...database, close: () => database.close().finally(() => opened.delete(database)) };
    },
    databaseSizeBytes: (name) => databaseSizeBytes(pool, name),
    freeBytes: () => freeBytes(parts.storagePath),
    missingPrivileges: () => missingPrivileges(pool.rows, { live, maintenance }),
    swap: (names) => {
      if (maintenance === names.live || maintenance === names.staging) throw renameFromInside(maintenance);
      return parts.swap === 'one-step'
        ? swapDatabases(options, maintenance, names)
        : swapInTwoSteps(renameSteps(options, maintenance), names);
    },
    close: async () => {
      await Promise.all([...opened].map((database) => database.close()));
      await pool.close();
    },
  };
}

async function freeBytes(storagePath: string | undefined): Promise<number | undefined> {
  if (storagePath === undefined) return undefined;
  const { bavail, bsize } = await statfs(storagePath);
  return bavail * bsize;
}

async function databaseNames(pool: QueryPool, prefix: string): Promise<string[]> {
  const found = await pool.rows<{ name: string }>(
    `SELECT datname AS name FROM pg_catalog.pg_database
      WHERE starts_with(datname, $1) AND NOT datistemplate ORDER BY datname COLLATE "C"`,
    [prefix],
  );
  return found.map(({ name }) => name);
}

async function dropDatabase(pool: QueryPool, name: string): Promise<void> {
  // FORCE refuses as a whole where one session is another role's; those that may be ended are ended first.
  await terminateSessions(pool.rows, [name]);
  await pool.rows(`DROP DATABASE IF EXISTS ${quoteIdentifier(name)} WITH (FORCE)`);
}

async function databaseSizeBytes(pool: QueryPool, name: string): Promise<number> {
  const [row] = await pool.rows<{ bytes: number }>(
    'SELECT pg_database_size(oid) AS bytes FROM pg_catalog.pg_database WHERE datname = $1',
    [name],
  );
  return row?.bytes ?? 0;
}

function renameFromInside(database: string): unknown {
  return new EnclaveManagerError(
    'database-unreachable',
    `the role can connect to no database besides "${database}", and that cannot be renamed from inside`,
    { hint: 'Let the role connect to the database "postgres".' },
  );
}
