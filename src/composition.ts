/**
 * The adapters behind the commands, made from the configuration; loaded by `main.ts` when a command needs them. What only
 * some commands need, databases and HTTP, is loaded by those: it takes longer to load than most commands run.
 */
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { Worker } from 'node:worker_threads';
import type { Configuration, StoredRepository } from '#config/configuration.ts';
import { defaultDatabaseName } from '#config/database-url.ts';
import { openCatalogCache } from '#adapters/data-directory/catalog-cache.ts';
import { acquireDataDirectory, acquireOwnerLock } from '#adapters/data-directory/owner-lock.ts';
import { openFailureMemory } from '#adapters/data-directory/failure-memory.ts';
import { openLocalState } from '#adapters/data-directory/local-state.ts';
import { ownForServing } from '#adapters/data-directory/own-for-serving.ts';
import { createScratchServers } from '#adapters/embedded-postgresql/scratch-servers.ts';
import { DirectoryExaminer } from '#adapters/filesystem/directory-examiner.ts';
import { DirectoryStore } from '#adapters/filesystem/directory-store.ts';
import { findSharedDisk } from '#adapters/filesystem/shared-disk.ts';
import { systemClock } from '#adapters/system/clock.ts';
import { openCrashPoints } from '#adapters/system/crash-points.ts';
import { createOutputFile } from '#adapters/system/output-file.ts';
import { systemRandomness } from '#adapters/system/randomness.ts';
import { readText } from '#adapters/system/read-text.ts';
import type { Adapters } from '#cli/environment.ts';
import { spellCommands, spellingOf } from '#cli/output/program-name.ts';
import type { LoadedAdapters } from '#cli/run.ts';
import type { Readiness } from '#model/readiness.ts';
import { workerThread } from '#pipeline/worker-thread.ts';
import type { ObjectStore } from '#ports/object-store.ts';
import type { StoreExaminer } from '#ports/store-examiner.ts';
import type { ScratchServers } from '#ports/scratch-server.ts';
import type { Swap } from './composition-databases.ts';
import { openSealing, openHardwareTrust } from './composition-sealing.ts';

export interface ProcessFacts {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** What runs, for whoever waits for a lease or the data directory. */
  readonly command: string;
  readonly hostName: string;
  readonly processId: number;
  readonly stdin: NodeJS.ReadableStream;
}

/**
 * Threads that move rows have a small heap and large buffers outside it, and V8 would collect the one after every few of the
 * others; for what they make and forget at once it would keep tens of megabytes. V8 asks for the one flag at the end of each
 * collection and for the other when a thread begins, so both may be set at any time before (docs/decisions/040).
 */
const heapFlags = ['--heap-growing-percent=400', '--max-semi-space-size=1'];

export function loadAdapters(facts: ProcessFacts): LoadedAdapters {
  for (const flag of heapFlags) setFlagsFromString(flag);
  const crashPoints = openCrashPoints({
    killAt: facts.env['ENCLAVE_MANAGER_TEST_KILL_AT'],
    stopAt: facts.env['ENCLAVE_MANAGER_TEST_STOP_AT'],
    reachedFile: facts.env['ENCLAVE_MANAGER_TEST_REACHED_FILE'],
  });
  return {
    adapters: makeAdapters(facts, facts.env['ENCLAVE_MANAGER_TEST_SWAP'] === 'two-steps' ? 'two-steps' : 'one-step'),
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

function makeAdapters(facts: ProcessFacts, swap: Swap): Adapters {
  return {
    openServer: async (configuration, { create }) => {
      const { openForCommand } = await import('./composition-databases.ts');
      const acquire = () => acquireDataDirectory(configuration.dataDirectory, facts.command);
      return await openForCommand(configuration, { create, acquire, swap });
    },
    openStore: async (repository, { dataDirectory }) => remembering(await openStore(repository), dataDirectory),
    openStoreExaminer,
    openSealing: async (configuration, options) => await openSealing(configuration, options),
    openLocalState: ({ dataDirectory }) => openLocalState(dataDirectory),
    openCatalogCache: ({ dataDirectory }) => openCatalogCache(dataDirectory),
    openScratchServers,
    findOnOneDisk,
    createOutputFile,
    readInput: async (source) => await readText(source, facts.stdin),
    serve: async (configuration, context, hooks) => {
      const { dataDirectory } = configuration;
      const { signal } = context;
      const { serve } = await import('#server/serve.ts');
      const { startHealthServer } = await import('#http/health-server.ts');
      const { openForServing } = await import('./composition-databases.ts');
      const { sealing, ...choice } = await openSealing(configuration, { joining: false });
      hooks.log(`the key of this host is sealed by ${choice.provider}: ${choice.why}`);
      const hardwareTrust = await openHardwareTrust(configuration);
      const lock = await ownForServing({ dataDirectory, signal, log: hooks.log, clock: systemClock });
      try {
        await serve(context, {
          configuration,
          hostName: facts.hostName,
          processId: facts.processId,
          startHealthServer: (readiness) =>
            startHealthServer({ ...configuration.listen, readiness: () => spelledReadiness(readiness(), facts.env) }),
          openDatabase: () => openForServing(configuration, lock, swap),
          openHost: async (server) => ({
            server,
            store:
              configuration.repository.kind === 'none'
                ? undefined
                : remembering(await openStore(configuration.repository), dataDirectory),
            sealing,
            hardwareTrust,
            localState: openLocalState(configuration.dataDirectory),
            node: { name: configuration.nodeName, site: configuration.site ?? null },
          }),
          scratchServers: openScratchServers(configuration),
          sealing: choice,
          findOnOneDisk: () => findOnOneDisk(configuration),
          ...hooks,
        });
      } finally {
        lock.release();
      }
    },
  };
}

/** Whoever reads it sits elsewhere: the commands are as the settings spell them, or plain. */
function spelledReadiness(readiness: Readiness, env: ProcessFacts['env']): Readiness {
  const spelling = spellingOf(env, () => 'enclave-manager');
  const spell = (text: string): string => spellCommands(text, spelling);
  return { ...readiness, reasons: readiness.reasons.map(spell), commands: readiness.commands.map(spell) };
}

/** The SDK takes half a second to load, so only who needs it loads it. */
const remembering = (store: ObjectStore, dataDirectory: string): ObjectStore =>
  Object.assign(store, { failures: openFailureMemory(dataDirectory) });

async function openStore(repository: StoredRepository): Promise<ObjectStore> {
  if (repository.kind === 'directory') return new DirectoryStore(repository.path);
  const { S3Store } = await import('#adapters/s3/s3-store.ts');
  return new S3Store({ kind: 's3', ...repository.settings });
}

async function openStoreExaminer(repository: StoredRepository): Promise<StoreExaminer> {
  if (repository.kind === 'directory') return new DirectoryExaminer(repository.path);
  const { S3Examiner } = await import('#adapters/s3/s3-examiner.ts');
  return new S3Examiner({ kind: 's3', ...repository.settings });
}

function openScratchServers({ dataDirectory }: Configuration): ScratchServers {
  return createScratchServers({
    directory: join(dataDirectory, 'scratch'),
    liveName: defaultDatabaseName,
    acquire: (lockPath) => acquireOwnerLock(lockPath, 'drill'),
    connect: async (connection, location) => {
      const { connectPostgresql } = await import('#adapters/postgresql/postgresql-server.ts');
      return await connectPostgresql({ server: connection, location });
    },
    clock: systemClock,
    randomness: systemRandomness,
  });
}

async function findOnOneDisk(configuration: Configuration): Promise<readonly string[]> {
  const { database, dataDirectory, repository, sealing } = configuration;
  const { provider } = await openSealing(configuration, { joining: false });
  return await findSharedDisk([
    ...(database.kind === 'embedded' ? [{ name: 'database', path: join(dataDirectory, 'postgres') }] : []),
    ...(repository.kind === 'directory' ? [{ name: 'backups', path: repository.path }] : []),
    ...(provider === 'software' ? [{ name: 'key', path: sealing.keyFile }] : []),
  ]);
}
