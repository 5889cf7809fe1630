import { Kysely, PostgresDialect, type PostgresPoolClient } from 'kysely';
import pg from 'pg';
import { backendOf, type RunningBackends } from './running-backends.ts';
import { describeOptions, type SessionOptions } from './connection-options.ts';
import { isLostConnection, toDatabaseError } from './database-errors.ts';
import { clientConfig, queryLimits } from './session.ts';
import { readable } from './value-types.ts';

/** A bounded pool whose failures are typed errors and whose lost connections are replaced, never fatal. */
export interface QueryPool {
  readonly queries: Kysely<unknown>;
  rows<R extends object>(text: string, parameters?: readonly unknown[]): Promise<R[]>;
  /** All statements on one connection, in one transaction (READ COMMITTED). */
  inTransaction<T>(work: (rows: QueryPool['rows']) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

type PooledClient = PostgresPoolClient & { readonly run: QueryPool['rows'] };

export function openQueryPool(
  options: SessionOptions,
  database: string,
  maxConnections: number,
  running: RunningBackends = new Set(),
): QueryPool {
  const pool = new pg.Pool({
    ...clientConfig(options, database, queryLimits),
    max: maxConnections,
    idleTimeoutMillis: 30_000,
  });
  pool.on('error', () => undefined);
  // Between checkout and query a client has no listener of the pool's; without this one its end would end the process.
  pool.on('connect', (client) => client.on('error', () => undefined));
  const location = describeOptions({ ...options, database });
  const connect = async (): Promise<PooledClient> => checkOut(pool, location, running);
  const dialect = new PostgresDialect({ pool: { connect, end: async () => undefined, options: {} } });
  let closed: Promise<void> | undefined;
  return {
    queries: new Kysely<unknown>({ dialect }),
    rows: (text, parameters) => withClient(connect, (client) => client.run(text, parameters)),
    inTransaction: (work) => withClient(connect, (client) => runTransaction(client, work)),
    close: () => (closed ??= pool.end()),
  };
}

async function checkOut(pool: pg.Pool, location: string, running: RunningBackends): Promise<PooledClient> {
  const client = await pool.connect().catch((error: unknown) => {
    throw toDatabaseError(error, location);
  });
  const backend = backendOf(client);
  if (backend !== undefined) running.add(backend);
  let lost = false;
  const query = async <R extends object>(text: string, parameters?: readonly unknown[]): Promise<pg.QueryResult<R>> => {
    try {
      return readable(await client.query<R>(text, parameters === undefined ? undefined : [...parameters]), text);
    } catch (error) {
      lost ||= isLostConnection(error);
      throw toDatabaseError(error, location);
    }
  };
  const pooled = {
    query,
    run: async <R extends object>(text: string, parameters?: readonly unknown[]) =>
      (await query<R>(text, parameters)).rows,
    release: (destroy?: boolean) => {
      if (backend !== undefined) running.delete(backend);
      client.release(destroy === true || lost);
    },
  };
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- Kysely also declares a form for cursors, which nobody here uses.
  return pooled as unknown as PooledClient;
}

async function withClient<T>(
  connect: () => Promise<PooledClient>,
  work: (client: PooledClient) => Promise<T>,
): Promise<T> {
  const client = await connect();
  try {
    return await work(client);
  } finally {
    client.release();
  }
}

async function runTransaction<T>(client: PooledClient, work: (rows: QueryPool['rows']) => Promise<T>): Promise<T> {
  await client.run('BEGIN');
  try {
    const result = await work(client.run);
    await client.run('COMMIT');
    return result;
  } catch (error) {
    await client.run('ROLLBACK').catch(() => undefined);
    throw error;
  }
}
