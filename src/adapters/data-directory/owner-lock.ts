import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { fromFileSystemError } from '#errors/file-system-error.ts';
import type { OwnerLock } from '#ports/owner-lock.ts';
import { tryKernelLock } from './kernel-lock.ts';
import { makeDirectories } from './make-directories.ts';

const holderSchema = z.object({ pid: z.int(), command: z.string().max(1000) });

/** What is known of who holds a lock; for people and for how long it is worth waiting, never to decide who owns what. */
export type Holder = z.infer<typeof holderSchema>;

export interface DescribedLock extends OwnerLock {
  /** Says anew what its holder does. */
  describe(command: string): void;
}

/** The lock of a data directory; created with the directory where it is missing. `command` is shown to whom it keeps out. */
export function acquireDataDirectory(dataDirectory: string, command: string): DescribedLock {
  try {
    // Others may pass it, not look into it: started by root, the embedded server is another user. Inside, all is 0700.
    makeDirectories(dataDirectory, 0o711);
  } catch (error) {
    throw fromFileSystemError(error, dataDirectory);
  }
  return acquireOwnerLock(dataDirectoryLock(dataDirectory), command);
}

/** `undefined` where nobody holds it, or the holder has not written it yet or not for us to read. */
export function readDataDirectoryHolder(dataDirectory: string): Holder | undefined {
  return readHolder(holderOf(dataDirectoryLock(dataDirectory)));
}

const dataDirectoryLock = (dataDirectory: string): string => join(dataDirectory, 'state', 'owner.lock');
const holderOf = (lockPath: string): string => `${lockPath}.holder`;

/** Takes the lock that is the file `path`, or throws `data-directory-in-use` naming its holder at once. */
export function acquireOwnerLock(path: string, command: string): DescribedLock {
  const holderPath = holderOf(path);
  try {
    makeDirectories(dirname(path), 0o700);
    const lock = tryKernelLock(path);
    if (lock === undefined) throw inUse(dirname(dirname(path)), readHolder(holderPath));
    const describe = (text: string): void => {
      if (lock.isOpen) writeHolder(holderPath, { pid: process.pid, command: text });
    };
    try {
      describe(command);
    } catch (error) {
      lock.close();
      throw error;
    }
    return {
      describe,
      release: () => {
        if (!lock.isOpen) return;
        rmSync(holderPath, { force: true });
        lock.close();
      },
    };
  } catch (error) {
    throw fromFileSystemError(error, path);
  }
}

/** The lock itself is what counts, so an old name here does no harm. */
function writeHolder(path: string, holder: Holder): void {
  writeFileSync(`${path}.new`, JSON.stringify(holder), { mode: 0o600 });
  renameSync(`${path}.new`, path);
}

function readHolder(path: string): Holder | undefined {
  try {
    return holderSchema.parse(JSON.parse(readFileSync(path, 'utf8').slice(0, 4096)));
  } catch {
    return undefined;
  }
}

function inUse(directory: string, holder: Holder | undefined): EnclaveManagerError {
  const who = holder === undefined ? 'another process' : `process ${holder.pid} (${holder.command})`;
  return new EnclaveManagerError('data-directory-in-use', `the data directory ${directory} is in use by ${who}`);
}
