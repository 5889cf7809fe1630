import { readdir, stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import type { Clock } from '#ports/clock.ts';

interface WatchOptions {
  readonly directory: string;
  readonly maxBytes: number;
  readonly clock: Clock;
  readonly exceeded: () => void;
}

const intervalMs = 500;
/** What a scratch server leaves to everybody else on the same file system. */
const reserveBytes = 256 * 1024 * 1024;

export interface DiskWatch {
  /** Aborts with a `no-space` error as its reason. */
  readonly overLimit: AbortSignal;
  end(): void;
}

/** Measures a directory again and again, and calls `exceeded` once when it grows past its limit or the disk gets full. */
export function watchDiskUse({ directory, maxBytes, clock, exceeded }: WatchOptions): DiskWatch {
  const ended = new AbortController();
  const over = new AbortController();
  const watch = async (): Promise<void> => {
    while (!ended.signal.aborted) {
      const error = await overuse(directory, maxBytes);
      if (error !== undefined) {
        over.abort(error);
        return exceeded();
      }
      await clock.sleep(intervalMs, ended.signal);
    }
  };
  // Ends by rejection when it is told to end while it sleeps.
  void watch().catch(() => undefined);
  return { overLimit: over.signal, end: () => ended.abort() };
}

async function overuse(directory: string, maxBytes: number): Promise<EnclaveManagerError | undefined> {
  const used = await directoryBytes(directory);
  if (used > maxBytes) {
    return new EnclaveManagerError(
      'no-space',
      `the scratch database in ${directory} has ${used} bytes, its limit is ${maxBytes}`,
    );
  }
  const { bavail, bsize } = await statfs(directory);
  if (bavail * bsize >= reserveBytes) return undefined;
  return new EnclaveManagerError(
    'no-space',
    `only ${bavail * bsize} bytes are left on the disk that holds ${directory}`,
  );
}

async function directoryBytes(directory: string): Promise<number> {
  let bytes = 0;
  // Files and directories come and go while we look.
  for (const entry of await readdir(directory, { withFileTypes: true, recursive: true }).catch(() => [])) {
    if (!entry.isFile()) continue;
    const found = await stat(join(entry.parentPath, entry.name)).catch(() => undefined);
    bytes += (found?.blocks ?? 0) * 512;
  }
  return bytes;
}
