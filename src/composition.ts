/** The adapters behind the commands, made from the configuration; loaded by `main.ts` when a command needs them. */
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { Configuration } from '#config/configuration.ts';
import { defaultDatabaseName } from '#config/database-url.ts';
import { acquireDataDirectory, acquireOwnerLock } from '#adapters/data-directory/owner-lock.ts';
import { openLocalState } from '#adapters/data-directory/local-state.ts';
import { ownForServing } from '#adapters/data-directory/own-for-serving.ts';
import { createScratchServers } from '#adapters/embedded-postgresql/scratch-servers.ts';
import { useEmbedded, type EmbeddedUse } from '#adapters/embedded-postgresql/use-embedded.ts';
import { DirectoryStore } from '#adapters/filesystem/directory-store.ts';
import { findSharedDisk } from '#adapters/filesystem/shared-disk.ts';
import { parseDatabaseUrl } from '#adapters/postgresql/connection-options.ts';
import { connectPostgresql } from '#adapters/postgresql/postgresql-server.ts';
import { createSoftwareSealing } from '#adapters/software/software-sealing.ts';
import { systemClock } from '#adapters/system/clock.ts';
import { openCrashPoints } from '#adapters/system/crash-points.ts';
import { systemRandomness } from '#adapters/system/randomness.ts';
import { readText } from '#adapters/system/read-text.ts';
import type { Adapters } from '#cli/environment.ts';
import type { LoadedAdapters } from '#cli/run.ts';
import { startHealthServer } from '#http/health-server.ts';
import { beginCold } from '#operations/begin-cold.ts';
import { workerThread } from '#pipeline/worker-thread.ts';
import type { DatabaseServer } from '#ports/database.ts';
import type { OwnerLock } from '#ports/owner-lock.ts';
import type { ScratchServers } from '#ports/scratch-server.ts';
import type { Sealing } from '#ports/sealing.ts';
import { serve, type ServedDatabase } from '#server/serve.ts';

export interface ProcessFacts {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** What runs, for whoever waits for a lease or the data directory. */
  readonly command: string;
  readonly hostName: string;
  readonly processId: number;
  readonly stdin: NodeJS.ReadableStream;
}

/** Other commands that use our embedded server may end what they do, but not keep `serve` from stopping. */
const serveDrainMs = 2_000;

export function loadAdapters(facts: ProcessFacts): LoadedAdapters {
  const crashPoints = openCrashPoints({
    killAt: facts.env['ENCLAVE_MANAGER_TEST_KILL_AT'],
    reachedFile: facts.env['ENCLAVE_MANAGER_TEST_REACHED_FILE'],
  });
  return {
    adapters: makeAdapters(facts),
    newContext: ({ progress, signal }) => ({
      clock: systemClock,
      randomness: systemRandomness,
      progress,
      crashPoints,
      signal,
      startWorker: (setup) => workerThread(new Worker(new URL('./worker.ts', import.meta.url), { workerData: setup })),
      processors: availableParallelism(),
      holder: `${facts.command} on ${facts.hostName}, process ${facts.processId}`,
    }),
  };
}

function makeAdapters(facts: ProcessFacts): Adapters {
  return {
    openServer: async (configuration, { create }) => {
      const { database } = configuration;
      if (database.kind === 'external') return await connectExternal(database);
      const { server } = await openEmbedded(configuration, {
        attach: true,
        create,
        acquire: () => acquireDataDirectory(configuration.dataDirectory, facts.command),
      });
      return server;
    },
    openStore: async (path) => new DirectoryStore(path),
    openSealing,
    openLocalState: ({ dataDirectory }) => openLocalState(dataDirectory),
    openScratchServers,
    findOnOneDisk,
    readInput: async (source) => await readText(source, facts.stdin),
    serve: async (configuration, context, hooks) => {
      const { dataDirectory } = configuration;
      const { signal } = context;
      const lock = await ownForServing({ dataDirectory, signal, log: hooks.log, clock: systemClock });
      try {
        await serve(context, {
          configuration,
          hostName: facts.hostName,
          processId: facts.processId,
          startHealthServer: (readiness) => startHealthServer({ ...configuration.listen, readiness }),
          openDatabase: () => openServed(configuration, lock),
          openHost: async (server) => ({
            server,
            store:
              configuration.repository.kind === 'none' ? undefined : new DirectoryStore(configuration.repository.path),
            sealing: await openSealing(configuration),
            localState: openLocalState(configuration.dataDirectory),
            node: { name: configuration.nodeName, site: configuration.site ?? null },
          }),
          scratchServers: openScratchServers(configuration),
          findOnOneDisk: () => findOnOneDisk(configuration),
          ...hooks,
        });
      } finally {
        lock.release();
      }
    },
  };
}

async function openSealing({ sealing, dataDirectory }: Configuration): Promise<Sealing> {
  const keyExpected = (await openLocalState(dataDirectory).read()) !== undefined;
  return createSoftwareSealing({ keyFile: sealing.keyFile, keyExpected, randomness: systemRandomness });
}

function openScratchServers({ dataDirectory }: Configuration): ScratchServers {
  return createScratchServers({
    directory: join(dataDirectory, 'scratch'),
    liveName: defaultDatabaseName,
    acquire: (lockPath) => acquireOwnerLock(lockPath, 'drill'),
    connect: (connection, location) => connectPostgresql({ server: connection, location }),
    clock: systemClock,
    randomness: systemRandomness,
  });
}

async function connectExternal({
  address,
  password,
}: Extract<Configuration['database'], { kind: 'external' }>): Promise<DatabaseServer> {
  const options = parseDatabaseUrl(address.url);
  return await connectPostgresql({ server: { ...options, password: password ?? options.password } });
}

interface EmbeddedChoice {
  readonly attach: boolean;
  readonly create: boolean;
  readonly acquire: () => OwnerLock;
  readonly drainMs?: number;
}

/** The embedded server of the data directory, with the connection to it; closing the one closes the other. */
async function openEmbedded(
  { dataDirectory }: Configuration,
  choice: EmbeddedChoice,
): Promise<{ server: DatabaseServer; use: EmbeddedUse }> {
  const use = await useEmbedded({ dataDirectory, liveName: defaultDatabaseName, clock: systemClock, ...choice });
  const leave = async (): Promise<void> =>
    await use.close(choice.drainMs === undefined ? {} : { drainMs: choice.drainMs });
  try {
    const storagePath = join(dataDirectory, 'postgres');
    const server = await connectPostgresql({ server: use.connection, location: use.location, storagePath });
    if (use.owned) await beginCold(server);
    const close = async (): Promise<void> => {
      await server.close();
      await leave();
    };
    return { server: { ...server, close }, use };
  } catch (error) {
    await leave();
    throw error;
  }
}

async function openServed(configuration: Configuration, lock: OwnerLock): Promise<ServedDatabase> {
  if (configuration.database.kind === 'external') {
    const server = await connectExternal(configuration.database);
    return { server, exited: undefined, close: () => server.close() };
  }
  const { server, use } = await openEmbedded(configuration, {
    attach: false,
    create: true,
    acquire: () => lock,
    drainMs: serveDrainMs,
  });
  return { server, exited: use.exited, close: () => server.close() };
}

async function findOnOneDisk({
  database,
  dataDirectory,
  repository,
  sealing,
}: Configuration): Promise<readonly string[]> {
  return await findSharedDisk([
    ...(database.kind === 'embedded' ? [{ name: 'database', path: join(dataDirectory, 'postgres') }] : []),
    ...(repository.kind === 'directory' ? [{ name: 'backups', path: repository.path }] : []),
    { name: 'key', path: sealing.keyFile },
  ]);
}
