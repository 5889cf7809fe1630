import { constants, existsSync } from 'node:fs';
import { link, mkdir, open, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import type { Randomness } from '#ports/randomness.ts';

const hostKeyBytes = 32;

/** The host key; `undefined` where there is no file. Throws `sealing-unavailable` for a file that is not one or that others may read. */
export async function readHostKey(keyFile: string): Promise<Buffer | undefined> {
  try {
    // Without O_NONBLOCK, opening a FIFO put in place of the file would wait for ever.
    const file = await open(keyFile, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const { mode, size } = await file.stat();
      checkHostKeyFile(keyFile, mode, size);
      const key = Buffer.alloc(hostKeyBytes);
      const { bytesRead } = await file.read(key, 0, hostKeyBytes, 0);
      if (bytesRead !== hostKeyBytes) throw unusable(keyFile, `has ${bytesRead} bytes instead of ${hostKeyBytes}`);
      return key;
    } finally {
      await file.close();
    }
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw unavailable(keyFile, 'cannot be read', error);
  }
}

/**
 * Makes the host key where there is none; one that is there is checked and kept, also when two processes race.
 * The key is complete and on the disk before it gets its name: temporary file, fsync, link, fsync of the directory.
 */
export async function createHostKey(keyFile: string, randomness: Randomness): Promise<void> {
  if ((await readHostKey(keyFile)) !== undefined) return;
  const temporary = `${keyFile}.${randomness.bytes(8).toString('hex')}.tmp`;
  try {
    await createDirectory(dirname(keyFile));
    await writeNewFile(temporary, randomness.bytes(hostKeyBytes));
    await link(temporary, keyFile).catch((error: unknown) => {
      if (codeOf(error) !== 'EEXIST') throw error;
    });
    await rm(temporary);
    await syncDirectory(dirname(keyFile));
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined);
    throw unavailable(keyFile, 'cannot be created', error);
  }
  if ((await readHostKey(keyFile)) === undefined) throw hostKeyMissing(keyFile);
}

export function hostKeyMissing(keyFile: string): EnclaveManagerError {
  return new EnclaveManagerError('sealing-unavailable', `The host key ${keyFile} does not exist.`, {
    hint: 'Put the key file back from a copy, or set ENCLAVE_MANAGER_SEALING_KEY_FILE. A new key would open nothing, so none is made; a host without its key is enrolled anew from another one: node invite, then node enrol.',
  });
}

/** Not `recursive`: below /proc, where the kernel makes no directories and calls that ENOENT, Node would try for ever. */
async function createDirectory(directory: string): Promise<void> {
  const above = dirname(directory);
  try {
    await mkdir(directory, { mode: 0o700 });
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return;
    if (codeOf(error) !== 'ENOENT' || existsSync(above)) throw error;
    await createDirectory(above);
    await mkdir(directory, { mode: 0o700 }).catch((failure: unknown) => {
      if (codeOf(failure) !== 'EEXIST') throw failure;
    });
  }
  await syncDirectory(above);
}

async function writeNewFile(path: string, bytes: Buffer): Promise<void> {
  const file = await open(path, 'wx', 0o600);
  try {
    await file.writeFile(bytes);
    await file.sync();
  } finally {
    await file.close();
    bytes.fill(0);
  }
}

async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function checkHostKeyFile(keyFile: string, mode: number, size: number): void {
  if ((mode & constants.S_IFMT) !== constants.S_IFREG) throw unusable(keyFile, 'is not a regular file');
  const permissions = mode & 0o777;
  if ((permissions & 0o077) !== 0) {
    const octal = permissions.toString(8).padStart(4, '0');
    throw new EnclaveManagerError(
      'sealing-unavailable',
      `The host key ${keyFile} has mode ${octal}: others may use it.`,
      {
        hint: `Whoever read the key is this host. If nobody could: chmod 600 ${keyFile}`,
      },
    );
  }
  if (size !== hostKeyBytes) throw unusable(keyFile, `has ${size} bytes instead of ${hostKeyBytes}`);
}

function unusable(keyFile: string, what: string): EnclaveManagerError {
  return new EnclaveManagerError('sealing-unavailable', `The host key ${keyFile} ${what}.`, {
    hint: 'Put the key file back from a copy, or set ENCLAVE_MANAGER_SEALING_KEY_FILE to the right one.',
  });
}

function unavailable(keyFile: string, what: string, cause: unknown): EnclaveManagerError {
  if (cause instanceof EnclaveManagerError) return cause;
  return new EnclaveManagerError('sealing-unavailable', `The host key ${keyFile} ${what}: ${codeOf(cause)}.`, {
    hint: 'Check that this user may use that directory, or set ENCLAVE_MANAGER_SEALING_KEY_FILE.',
    cause,
  });
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : String(error);
}
