import pg from 'pg';
import type { PostgresqlOptions, SessionOptions, TlsOptions } from './connection-options.ts';
import { describeOptions } from './connection-options.ts';
import { toDatabaseError } from './database-errors.ts';
import { readable, valueTypes } from './value-types.ts';

export interface SessionLimits {
  readonly connectTimeoutMs: number;
  /** 0: none. */
  readonly statementTimeoutMs: number;
  readonly lockTimeoutMs: number;
}

/** For the manager's own small queries. */
export const queryLimits: SessionLimits = {
  connectTimeoutMs: 15_000,
  statementTimeoutMs: 300_000,
  lockTimeoutMs: 60_000,
};
/** For reading and writing whole tables, and building indexes. */
export const bulkLimits: SessionLimits = { connectTimeoutMs: 15_000, statementTimeoutMs: 0, lockTimeoutMs: 120_000 };

export function clientConfig(options: SessionOptions, database: string, limits: SessionLimits): pg.ClientConfig {
  return {
    ...plainConfig(options, database, limits),
    application_name: sessionName(options, database),
    options: startupOptions({
      ...options.settings,
      lock_timeout: limits.lockTimeoutMs,
      statement_timeout: limits.statementTimeoutMs,
      idle_in_transaction_session_timeout: limits.statementTimeoutMs,
    }),
  };
}

/** What our sessions call themselves, for people and for engines where that is how sessions are found. */
export function sessionName({ namesDatabase }: SessionOptions, database: string): string {
  return namesDatabase ? `${databaseSessions(database)} ${process.pid}` : `enclave-manager ${process.pid}`;
}

/** How the names of all our sessions in a database begin. */
export const databaseSessions = (database: string): string => `enclave-manager in ${database},`;

function plainConfig(options: PostgresqlOptions, database: string, limits: SessionLimits): pg.ClientConfig {
  return {
    host: options.host,
    port: options.port,
    user: options.user,
    ...(options.password === null ? {} : { password: options.password }),
    database,
    ssl: options.tls === null ? false : secureContext(options.tls),
    types: valueTypes,
    application_name: `enclave-manager ${process.pid}`,
    connectionTimeoutMillis: limits.connectTimeoutMs,
    // The server's limit comes first; ours is for a server that is gone without a word.
    ...(limits.statementTimeoutMs === 0 ? {} : { query_timeout: limits.statementTimeoutMs + 30_000 }),
    keepAlive: true,
    keepAliveInitialDelayMillis: 30_000,
  };
}

/** One connection outside the pools, with errors mapped. */
export interface Session {
  readonly client: pg.Client;
  rows<R extends object>(text: string, parameters?: readonly unknown[]): Promise<R[]>;
  close(): Promise<void>;
}

export async function openSession(options: SessionOptions, database: string, limits: SessionLimits): Promise<Session> {
  return connectSession(new pg.Client(clientConfig(options, database, limits)), describeOptions(options));
}

/** Without any setting that only one engine knows: for asking which one it is. */
export async function openPlainSession(options: PostgresqlOptions, database: string): Promise<Session> {
  return connectSession(new pg.Client(plainConfig(options, database, queryLimits)), describeOptions(options));
}

export async function connectSession(client: pg.Client, location: string): Promise<Session> {
  // A connection that the server ends while nothing runs is reported as an event only; the next query then fails.
  client.on('error', () => undefined);
  try {
    await client.connect();
  } catch (error) {
    throw toDatabaseError(error, location);
  }
  return {
    client,
    rows: async <R extends object>(text: string, parameters?: readonly unknown[]) => {
      try {
        const result = await client.query<R>(text, parameters === undefined ? undefined : [...parameters]);
        return readable(result, text).rows;
      } catch (error) {
        throw toDatabaseError(error, location);
      }
    },
    close: async () => {
      await client.end().catch(() => undefined);
    },
  };
}

export async function withSession<T>(
  options: SessionOptions,
  database: string,
  limits: SessionLimits,
  work: (session: Session) => Promise<T>,
): Promise<T> {
  const session = await openSession(options, database, limits);
  try {
    return await work(session);
  } finally {
    await session.close();
  }
}

/** As options of the start packet they win over what role and database have set. */
function startupOptions(values: Readonly<Record<string, string | number>>): string {
  return Object.entries(values)
    .map(([name, value]) => `-c ${name}=${value}`)
    .join(' ');
}

function secureContext(tls: TlsOptions): NonNullable<pg.ClientConfig['ssl']> {
  return {
    rejectUnauthorized: tls.mode === 'verify-ca' || tls.mode === 'verify-full',
    ...(tls.authorities === null ? {} : { ca: tls.authorities }),
    ...(tls.certificate === null ? {} : { cert: tls.certificate }),
    ...(tls.key === null ? {} : { key: tls.key }),
    ...(tls.mode === 'verify-ca' ? { checkServerIdentity: () => undefined } : {}),
  };
}
