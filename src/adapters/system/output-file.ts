import { randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import { link, lstat, open, rename, unlink, type FileHandle } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { errnoName, fromFileSystemError } from '#errors/file-system-error.ts';
import type { NewOutputFile } from '#ports/byte-sink.ts';

const withoutLinks = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS']);

/**
 * A new file of mode 0600 at `path`, whole and durable or not there: written beside it under a hidden name, synced, then
 * linked to its name. Throws `usage` where the name is taken: an export never replaces another file.
 */
export async function createOutputFile(path: string): Promise<NewOutputFile> {
  if (await exists(path)) throw taken(path);
  const temporary = join(dirname(path), `.${basename(path).slice(0, 200)}.${randomUUID()}.partial`);
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
  const file = await naming(path, () => open(temporary, flags, 0o600));
  let published = false;
  return {
    write: (bytes) => naming(path, () => file.writeFile(bytes)),
    publish: async () => {
      await naming(path, async () => {
        // The umask took nothing away from an owner who wants to read it.
        await file.chmod(0o600);
        await file.sync();
        await file.close();
        await giveName(temporary, path);
        published = true;
        await unlink(temporary).catch(() => {});
        await syncDirectory(dirname(path));
      });
    },
    discard: async () => {
      if (published) return;
      await closeQuietly(file);
      await unlink(temporary).catch(() => {});
    },
  };
}

async function giveName(temporary: string, path: string): Promise<void> {
  try {
    await link(temporary, path);
  } catch (error) {
    if (errnoName(error) === 'EEXIST') throw taken(path);
    if (!withoutLinks.has(errnoName(error) ?? '')) throw error;
    if (await exists(path)) throw taken(path);
    await rename(temporary, path);
  }
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    if (errnoName(error) === 'ENOENT') return false;
    throw fileError(path, error);
  }
}

async function closeQuietly(file: FileHandle): Promise<void> {
  await file.close().catch(() => {});
}

async function naming<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw fileError(path, error);
  }
}

function fileError(path: string, error: unknown): unknown {
  const known = fromFileSystemError(error, path);
  if (!(known instanceof EnclaveManagerError) || known === error || known.code !== 'configuration') return known;
  return new EnclaveManagerError('configuration', known.message, {
    hint: 'Name a file in a directory that this user may write: --output FILE',
    cause: error,
  });
}

function taken(path: string): EnclaveManagerError {
  return new EnclaveManagerError('usage', `${path} exists already; nothing was written`, {
    hint: 'Name a file that does not exist, or remove that one first.',
  });
}
