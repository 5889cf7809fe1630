import { accessSync, closeSync, constants, openSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { errnoName } from '#errors/file-system-error.ts';

const sqliteBusy = 5;

/** Closing gives it back; so does the end of the process, however it ends. */
export type KernelLock = Pick<DatabaseSync, 'isOpen' | 'close'>;

/**
 * The exclusive lock on the file `path`, which is made where it is missing; `undefined` where somebody else has it, in
 * another process or in this one. Never waits.
 *
 * SQLite's exclusive lock is one of the kernel (POSIX advisory), bound to this process: children do not inherit it,
 * and `kill -9` gives it back.
 */
export function tryKernelLock(path: string): KernelLock | undefined {
  makeLockFile(path);
  const database = new DatabaseSync(path, { timeout: 0 });
  try {
    // Else the journal is a file beside this one, which needs space and stays when the process is killed. OFF would be
    // refused without a word: connections are defensive. A journal that an earlier release left is removed here.
    database.exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE');
    return database;
  } catch (error) {
    database.close();
    const code = error instanceof Error && 'errcode' in error ? error.errcode : undefined;
    if (code === sqliteBusy) return undefined;
    throw new EnclaveManagerError('configuration', `${path} cannot be locked: ${String(error)}`, {
      hint: 'The file system must support locks; set ENCLAVE_MANAGER_DATA_DIR to a directory on another one.',
      cause: error,
    });
  }
}

/**
 * By hand, because SQLite says only that it cannot open a file, not why. A file that is there is not opened: closing it
 * again would give back every lock that this process has on it.
 */
function makeLockFile(path: string): void {
  try {
    closeSync(openSync(path, 'ax', 0o600));
  } catch (error) {
    if (errnoName(error) !== 'EEXIST') throw error;
    accessSync(path, constants.R_OK | constants.W_OK);
  }
}
