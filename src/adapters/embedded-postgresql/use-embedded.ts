import { existsSync } from 'node:fs';
import { EnclaveManagerError, isEnclaveManagerError } from '#errors/enclave-manager-error.ts';
import type { Clock } from '#ports/clock.ts';
import type { OwnerLock } from '#ports/owner-lock.ts';
import { attachEmbedded, drainUsage, holdUsage, postgresDirectory } from './attach-embedded.ts';
import { clusterPath } from './cluster-files.ts';
import { embeddedLocation, startEmbedded, type EmbeddedConnection } from './start-embedded.ts';

export interface EmbeddedUse {
  readonly connection: EmbeddedConnection;
  readonly location: string;
  /** Whether the server is ours to stop; `false`: it is another process's. */
  readonly owned: boolean;
  /** Resolves with a sentence when a server of ours ended; stays open for one of another process. */
  readonly exited: Promise<string>;
  /** Leaves the server, and stops it if it is ours: then after all others have left it, at most `drainMs`. */
  close(options?: { readonly drainMs?: number }): Promise<void>;
}

export interface UseEmbeddedOptions {
  readonly dataDirectory: string;
  readonly liveName: string;
  /** Takes the lock of the data directory, or throws `data-directory-in-use`. */
  readonly acquire: () => OwnerLock;
  readonly clock: Clock;
  /** Whether to use the server of the process that owns the directory; `serve` does not. */
  readonly attach: boolean;
  /** Whether to make a server where there is none yet. */
  readonly create: boolean;
  /** How long another process may take to start or stop its server. */
  readonly waitMs?: number;
}

const defaultWaitMs = 30_000;
const defaultDrainMs = 6 * 3_600_000;
const pollMs = 100;

/**
 * The embedded server of a data directory: that of the process which owns the directory, or else our own.
 *
 * Throws `data-directory-in-use` where it is owned and cannot be shared, `database-unreachable` where there is none and
 * none is to be made, and what starting throws.
 */
export async function useEmbedded(options: UseEmbeddedOptions): Promise<EmbeddedUse> {
  // The lock would make a directory whose name may be mistyped.
  if (!options.create && !existsSync(options.dataDirectory)) throw noServer(postgresDirectory(options.dataDirectory));
  const deadlineMs = options.clock.monotonicMs() + (options.waitMs ?? defaultWaitMs);
  for (;;) {
    let inUse: EnclaveManagerError;
    try {
      return await own(options, options.acquire());
    } catch (error) {
      if (!isEnclaveManagerError(error, 'data-directory-in-use') || !options.attach) throw error;
      inUse = error;
    }
    const attached = await attach(options);
    if (attached !== undefined) return attached;
    // The owner is starting or stopping its server.
    if (options.clock.monotonicMs() >= deadlineMs) throw inUse;
    await options.clock.sleep(pollMs);
  }
}

async function own({ dataDirectory, liveName, create }: UseEmbeddedOptions, lock: OwnerLock): Promise<EmbeddedUse> {
  const directory = postgresDirectory(dataDirectory);
  try {
    if (!create && !existsSync(clusterPath(directory))) throw noServer(directory);
    const server = await startEmbedded({ directory, liveName, lock });
    const close = async ({ drainMs = defaultDrainMs } = {}): Promise<void> => {
      try {
        await drainUsage(server.connection, drainMs);
        await server.stop();
      } finally {
        lock.release();
      }
    };
    return { connection: server.connection, location: server.location, owned: true, exited: server.exited, close };
  } catch (error) {
    lock.release();
    throw error;
  }
}

async function attach({ dataDirectory, liveName }: UseEmbeddedOptions): Promise<EmbeddedUse | undefined> {
  const directory = postgresDirectory(dataDirectory);
  const connection = attachEmbedded({ directory, liveName });
  const hold = connection === undefined ? undefined : await holdUsage(connection);
  if (connection === undefined || hold === undefined) return undefined;
  // A server that stops ends the session first that keeps newcomers away, and says in its file before that it stops.
  if (attachEmbedded({ directory, liveName }) === undefined) {
    await hold.release();
    return undefined;
  }
  const exited = new Promise<string>(() => undefined);
  return { connection, location: embeddedLocation(directory), owned: false, exited, close: () => hold.release() };
}

function noServer(directory: string): EnclaveManagerError {
  return new EnclaveManagerError('database-unreachable', `there is no database in ${directory} yet`, {
    hint: 'Create a cluster with enclave-manager serve, restore a backup with restore run, or set ENCLAVE_MANAGER_DATA_DIR.',
  });
}
