import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, closeSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { makeLauncher, type Launcher } from '#adapters/embedded-postgresql/launcher.ts';
import { readPostmasterFile } from '#adapters/embedded-postgresql/postmaster-file.ts';
import { chooseServerUser, giveTo } from '#adapters/embedded-postgresql/server-user.ts';

const superuser = 'postgres';
const port = 5432;

/**
 * PostgreSQL as `initdb` makes it, except for these: memory and log as one would give them on a machine of this size, and no
 * vacuum that comes in the middle of a measurement. fsync is on.
 */
const settings = {
  shared_buffers: '256MB',
  max_wal_size: '4GB',
  autovacuum: 'off',
  listen_addresses: '',
  unix_socket_permissions: '0777',
};

export interface BenchServer {
  readonly postmaster: number;
  readonly socketDirectory: string;
  readonly settings: Readonly<Record<string, string>>;
  urlOf(database: string): string;
  /** For `pg_dump` and its like. */
  readonly env: Readonly<Record<string, string>>;
  query(database: string, sql: string): Promise<readonly Record<string, unknown>[]>;
  stop(): Promise<void>;
}

/** A server of its own for the whole run, from the binaries that come with the product. */
export async function startServer(directory: string): Promise<BenchServer> {
  const user = chooseServerUser(directory);
  mkdirSync(directory, { recursive: true });
  chmodSync(directory, 0o755);
  giveTo(user, directory);
  const launcher = makeLauncher({ directory, user });
  const cluster = join(directory, 'cluster');
  await initialize(launcher, cluster, directory);
  const child = spawnServer(launcher, cluster, directory);
  await untilReady(child, cluster, directory);
  return {
    postmaster: child.pid!,
    socketDirectory: directory,
    settings,
    urlOf: (database) => `postgres://${superuser}@socket:${port}/${database}?host=${encodeURIComponent(directory)}`,
    env: { PGHOST: directory, PGPORT: `${port}`, PGUSER: superuser },
    query: (database, sql) => query(directory, database, sql),
    stop: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill('SIGINT');
      await once(child, 'exit');
    },
  };
}

async function initialize(launcher: Launcher, cluster: string, directory: string): Promise<void> {
  const log = openSync(join(directory, 'initdb.log'), 'a');
  const parameters = ['-D', cluster, '-U', superuser, '-A', 'trust', '-E', 'UTF8', '--locale=C.UTF-8'];
  const child = launcher.spawn('initdb', parameters, ['ignore', log, log]);
  await once(child, 'exit');
  closeSync(log);
  if (child.exitCode !== 0) throw new Error(`initdb failed: ${readFileSync(join(directory, 'initdb.log'), 'utf8')}`);
}

function spawnServer(launcher: Launcher, cluster: string, directory: string): ChildProcess {
  const log = openSync(join(directory, 'postgres.log'), 'a');
  const values = Object.entries({ ...settings, port, unix_socket_directories: directory });
  const parameters = values.flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const child = launcher.spawn('postgres', ['-D', cluster, ...parameters], ['ignore', log, log]);
  closeSync(log);
  return child;
}

async function untilReady(child: ChildProcess, cluster: string, directory: string): Promise<void> {
  for (;;) {
    const file = readPostmasterFile(cluster);
    if (file?.status === 'ready' && file.pid === child.pid) return;
    if (child.exitCode !== null)
      throw new Error(`postgres ended: ${readFileSync(join(directory, 'postgres.log'), 'utf8')}`);
    await sleep(20);
  }
}

async function query(host: string, database: string, sql: string): Promise<readonly Record<string, unknown>[]> {
  const client = new Client({ host, port, user: superuser, database });
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows ?? [];
  } finally {
    await client.end();
  }
}
