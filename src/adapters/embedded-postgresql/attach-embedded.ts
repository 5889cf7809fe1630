import { join, resolve } from 'node:path';
import pg from 'pg';
import { clusterPath, readPassword, superuser } from './cluster-files.ts';
import { readPostmasterFile } from './postmaster-file.ts';
import { isAlive } from './processes.ts';
import type { EmbeddedConnection } from './start-embedded.ts';

/** Both halves of an advisory lock in the database `postgres`: who uses the server holds it shared, who stops it exclusively. */
const usageLock = [0x656d, 1] as const;

/** How to reach the server that runs in `directory`; `undefined` where none is ready. */
export function attachEmbedded(options: {
  readonly directory: string;
  readonly liveName: string;
}): EmbeddedConnection | undefined {
  const directory = resolve(options.directory);
  const file = readPostmasterFile(clusterPath(directory));
  if (file === undefined || file.status !== 'ready' || !isAlive(file.pid)) return undefined;
  const password = readPassword(directory);
  return {
    host: file.socketDirectory,
    port: file.port,
    user: superuser,
    password,
    database: options.liveName,
    tls: null,
  };
}

/** Keeps the server from being stopped under us until it is released. */
export interface UsageHold {
  release(): Promise<void>;
}

/** `undefined` where the server cannot be reached or is about to stop. */
export async function holdUsage(connection: EmbeddedConnection): Promise<UsageHold | undefined> {
  const client = usageClient(connection);
  try {
    await client.connect();
    const { rows } = await client.query<{ held: boolean }>('SELECT pg_try_advisory_lock_shared($1, $2) AS held', [
      ...usageLock,
    ]);
    if (rows[0]?.held === true) return { release: () => client.end() };
  } catch {
    // Refused because it is stopping, or gone: the caller looks again who owns the directory.
  }
  await client.end().catch(() => undefined);
  return undefined;
}

/**
 * Waits until nobody else uses the server, and keeps newcomers away from then on. Resolves with `false` when others
 * still use it after `patienceMs`.
 */
export async function drainUsage(connection: EmbeddedConnection, patienceMs: number): Promise<boolean> {
  const client = usageClient(connection);
  try {
    await client.connect();
    await client.query(`SELECT set_config('lock_timeout', $1, false)`, [String(Math.max(1, patienceMs))]);
    await client.query('SELECT pg_advisory_lock($1, $2)', [...usageLock]);
    return true;
  } catch {
    await client.end().catch(() => undefined);
    return false;
  }
}

export function postgresDirectory(dataDirectory: string): string {
  return join(resolve(dataDirectory), 'postgres');
}

function usageClient({ host, port, user, password }: EmbeddedConnection): pg.Client {
  const client = new pg.Client({
    host,
    port,
    user,
    password,
    database: 'postgres',
    ssl: false,
    connectionTimeoutMillis: 10_000,
  });
  // The server ends this session when it stops.
  client.on('error', () => undefined);
  return client;
}
