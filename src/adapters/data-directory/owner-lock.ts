import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { z } from 'zod';
import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { fromFileSystemError } from '#errors/file-system-error.ts';
import type { OwnerLock } from '#ports/owner-lock.ts';

const sqliteBusy = 5;
const sqliteFull = 13;

const holderSchema = z.object({ pid: z.int(), command: z.string().max(1000) });

/** The lock of a data directory; created with the directory where it is missing. `command` is shown to whom it keeps out. */
export function acquireDataDirectory(dataDirectory: string, command: string): OwnerLock {
  try {
    // Others may pass it, not look into it: started by root, the embedded server is another user. Inside, all is 0700.
    mkdirSync(dataDirectory, { recursive: true, mode: 0o711 });
  } catch (error) {
    throw fromFileSystemError(error, dataDirectory);
  }
  return acquireOwnerLock(join(dataDirectory, 'state', 'owner.lock'), command);
}

/**
 * Takes the lock that is the file `path`, or throws `data-directory-in-use` naming its holder at once.
 *
 * SQLite's exclusive lock is one of the kernel (POSIX advisory), bound to this process: children do not inherit it,
 * and `kill -9` gives it back.
 */
export function acquireOwnerLock(path: string, command: string): OwnerLock {
  const holderPath = `${path}.holder`;
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    const database = lockFile(path, holderPath);
    // For people only: the lock itself is what counts, so an old name here does no harm.
    writeFileSync(`${holderPath}.new`, JSON.stringify({ pid: process.pid, command }), { mode: 0o600 });
    renameSync(`${holderPath}.new`, holderPath);
    return {
      release: () => {
        if (!database.isOpen) return;
        rmSync(holderPath, { force: true });
        database.close();
      },
    };
  } catch (error) {
    throw fromFileSystemError(error, path);
  }
}

function lockFile(path: string, holderPath: string): DatabaseSync {
  // Opened once by hand: SQLite says only that it cannot open a file, not why.
  writeFileSync(path, '', { flag: 'a', mode: 0o600 });
  const database = new DatabaseSync(path, { timeout: 0 });
  try {
    // Nothing is ever written, so no journal is left beside the file by a killed process.
    database.exec('PRAGMA journal_mode = OFF; BEGIN EXCLUSIVE');
    return database;
  } catch (error) {
    database.close();
    const code = error instanceof Error && 'errcode' in error ? error.errcode : undefined;
    if (code === sqliteBusy) throw inUse(dirname(dirname(path)), readHolder(holderPath));
    if (code === sqliteFull)
      throw new EnclaveManagerError('no-space', `no space is left to write ${path}`, { cause: error });
    throw new EnclaveManagerError('configuration', `${path} cannot be locked: ${String(error)}`, {
      hint: 'The file system must support locks; set ENCLAVE_MANAGER_DATA_DIR to a directory on another one.',
      cause: error,
    });
  }
}

function readHolder(path: string): string {
  try {
    const holder = holderSchema.parse(JSON.parse(readFileSync(path, 'utf8').slice(0, 4096)));
    return `process ${holder.pid} (${holder.command})`;
  } catch {
    // The holder has not written it yet, or another user may not read it.
    return 'another process';
  }
}

function inUse(directory: string, holder: string): EnclaveManagerError {
  return new EnclaveManagerError('data-directory-in-use', `the data directory ${directory} is in use by ${holder}`);
}
