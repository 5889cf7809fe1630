import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fromFileSystemError } from '#errors/file-system-error.ts';
import { isEnclaveManagerError } from '#errors/enclave-manager-error.ts';
import type { Clock } from '#ports/clock.ts';
import type { DatabaseServer } from '#ports/database.ts';
import type { OwnerLock } from '#ports/owner-lock.ts';
import type { Randomness } from '#ports/randomness.ts';
import type { ScratchServer, ScratchServers } from '#ports/scratch-server.ts';
import { clusterPath } from './cluster-files.ts';
import { watchDiskUse } from './disk-watch.ts';
import { startEmbedded, type EmbeddedConnection, type EmbeddedServer } from './start-embedded.ts';
import { stopOrphan } from './stop-orphan.ts';

export interface ScratchOptions {
  /** Each server has a directory of its own in here, and a lock beside it that says whether its process lives. */
  readonly directory: string;
  readonly liveName: string;
  readonly acquire: (lockPath: string) => OwnerLock;
  readonly connect: (connection: EmbeddedConnection, location: string) => Promise<DatabaseServer>;
  readonly clock: Clock;
  readonly randomness: Randomness;
}

const lockSuffix = '.lock';

export function createScratchServers(options: ScratchOptions): ScratchServers {
  return {
    start: async ({ maxBytes }) => {
      try {
        await removeLeftovers(options);
        return await start(options, maxBytes);
      } catch (error) {
        throw fromFileSystemError(error, options.directory);
      }
    },
  };
}

/** Removes what killed processes left: a directory whose lock can be taken belongs to nobody. */
export async function removeLeftovers({
  directory,
  acquire,
}: Pick<ScratchOptions, 'directory' | 'acquire'>): Promise<void> {
  if (!existsSync(directory)) return;
  for (const name of readdirSync(directory).filter((each) => each.endsWith(lockSuffix))) {
    let lock: OwnerLock;
    try {
      lock = acquire(join(directory, name));
    } catch (error) {
      if (isEnclaveManagerError(error, 'data-directory-in-use')) continue;
      throw error;
    }
    await removePlace(join(directory, name.slice(0, -lockSuffix.length)), lock);
  }
}

async function start(options: ScratchOptions, maxBytes: number): Promise<ScratchServer> {
  const { liveName, connect, clock } = options;
  const { place, lock } = choosePlace(options);
  let embedded: EmbeddedServer | undefined;
  try {
    embedded = await startEmbedded({ directory: place, liveName, lock, durable: false });
    const server = await connect(embedded.connection, `scratch PostgreSQL in ${place}`);
    const watch = watchDiskUse({ directory: place, maxBytes, clock, exceeded: () => void embedded?.stop() });
    let removed: Promise<void> | undefined;
    const remove = async (): Promise<void> => {
      watch.end();
      await server.close();
      await embedded?.stop();
      await removePlace(place, lock);
    };
    return { server, overLimit: watch.overLimit, remove: () => (removed ??= remove()) };
  } catch (error) {
    await embedded?.stop();
    await removePlace(place, lock);
    throw error;
  }
}

function choosePlace({ directory, acquire, randomness }: ScratchOptions): { place: string; lock: OwnerLock } {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  for (;;) {
    const place = join(directory, randomness.bytes(6).toString('hex'));
    const lock = acquire(`${place}${lockSuffix}`);
    // Somebody who cleans up may have had the lock, and removed its file, before we held it.
    if (existsSync(`${place}${lockSuffix}`)) return { place, lock };
    lock.release();
  }
}

async function removePlace(place: string, lock: OwnerLock): Promise<void> {
  await stopOrphan(clusterPath(place));
  rmSync(place, { recursive: true, force: true });
  // The lock's file last: as long as it is there, the next start looks here again.
  rmSync(`${place}${lockSuffix}`, { force: true });
  lock.release();
}
