import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { acquireDataDirectory } from '#adapters/data-directory/owner-lock.ts';
import { startEmbedded } from '#adapters/embedded-postgresql/start-embedded.ts';
import { useEmbedded } from '#adapters/embedded-postgresql/use-embedded.ts';
import { connectPostgresql } from '#adapters/postgresql/postgresql-server.ts';
import { systemClock } from '#adapters/system/clock.ts';
import type { DatabaseServer } from '#ports/database.ts';
import { debianUnavailable, startDebianServer } from '../fixtures/debian-postgresql.ts';

/** A PostgreSQL that all hosts of a cluster share. */
export interface SharedServer {
  readonly name: string;
  /** With the password in it; it goes to the program in a file. */
  url(database: string): string;
  crash(): Promise<void>;
  stop(): Promise<void>;
}

export async function startSharedServer(): Promise<SharedServer> {
  if (debianUnavailable !== undefined) return await startOurServer();
  const server = await startDebianServer();
  return {
    name: 'PostgreSQL 15 of Debian',
    url: (database) => server.socketUrl.replace('/malbork?', `/${database}?`),
    crash: server.crash,
    stop: server.stop,
  };
}

async function startOurServer(): Promise<SharedServer> {
  const directory = mkdtempSync(join(tmpdir(), 'em-soak-server-'));
  const lock = acquireDataDirectory(directory, 'soak');
  const options = { directory: join(directory, 'postgres'), liveName: 'malbork', lock, durable: false };
  let server = await startEmbedded(options);
  return {
    name: 'the embedded PostgreSQL, shared by its socket',
    url: (database) => {
      const { user, password, host, port } = server.connection;
      return `postgres://${user}:${encodeURIComponent(password)}@socket:${port}/${database}?host=${encodeURIComponent(host)}`;
    },
    crash: async () => {
      process.kill(server.pid, 'SIGKILL');
      await server.exited;
      server = await startEmbedded(options);
    },
    stop: async () => {
      await server.stop();
      lock.release();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** How the hosts of one cluster come to their database, and how we do. */
export interface DatabasePlace {
  readonly kind: 'shared' | 'embedded';
  readonly liveName: string;
  /** Settings of the program. */
  settings(database: string): Record<string, string>;
  /** Whether there is a server at all. */
  isThere(): boolean;
  withServer<T>(work: (server: DatabaseServer) => Promise<T>, database?: string): Promise<T>;
  /** Of a server that hosts share. */
  readonly shared?: SharedServer;
}

export function sharedPlace(shared: SharedServer, liveName: string, directory: string): DatabasePlace {
  const url = (database: string): string => shared.url(database);
  return {
    kind: 'shared',
    liveName,
    shared,
    settings: (database) => {
      const file = join(directory, `${database}.url`);
      writeFileSync(file, `${url(database)}\n`, { mode: 0o600 });
      return { ENCLAVE_MANAGER_DATABASE_URL_FILE: file };
    },
    isThere: () => true,
    withServer: async (work, database = liveName) => {
      const server = await connectPostgresql({ server: url(database) });
      try {
        return await work(server);
      } finally {
        await server.close();
      }
    },
  };
}

/** The server in the data directory of the only host: that of the running manager, else started for the moment. */
export function embeddedPlace(dataDirectory: string): DatabasePlace {
  return {
    kind: 'embedded',
    liveName: 'malbork',
    settings: () => ({}),
    isThere: () => existsSync(join(dataDirectory, 'postgres')),
    withServer: async (work) => {
      const use = await useEmbedded({
        dataDirectory,
        liveName: 'malbork',
        acquire: () => acquireDataDirectory(dataDirectory, 'soak'),
        clock: systemClock,
        attach: true,
        create: false,
      });
      try {
        const server = await connectPostgresql({ server: use.connection, location: use.location });
        try {
          return await work(server);
        } finally {
          await server.close();
        }
      } finally {
        await use.close();
      }
    },
  };
}
