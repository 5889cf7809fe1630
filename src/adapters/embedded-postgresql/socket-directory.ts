import { createHash } from 'node:crypto';
import { lstatSync, mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { giveTo, type ServerUser } from './server-user.ts';

/** A socket's whole path has room for 107 bytes (unix(7)) on Linux, 103 on macOS; ours ends in `/.s.PGSQL.5432`. */
const longestDirectoryBytes = 88;

/** The server's directory itself, or a short private one in the system's temporary directory where its path is too long. */
export function socketDirectory(directory: string, user: ServerUser | undefined): string {
  if (Buffer.byteLength(directory) <= longestDirectoryBytes) return directory;
  const digest = createHash('sha256').update(directory).digest('hex').slice(0, 12);
  const path = join(tmpdir(), `enclave-manager-${digest}`);
  mkdirSync(path, { recursive: true, mode: 0o700 });
  // The name can be foreseen, so another user of this machine may have made it before us.
  const found = lstatSync(path);
  const owner = found.uid === process.getuid?.() || found.uid === user?.uid;
  if (!found.isDirectory() || !owner || (found.mode & 0o077) !== 0) {
    throw new EnclaveManagerError(
      'configuration',
      `${path}, the place for the database's socket, belongs to somebody else`,
      {
        hint: 'Remove it, or set ENCLAVE_MANAGER_DATA_DIR to a directory with a path shorter than 70 characters.',
      },
    );
  }
  giveTo(user, path);
  return path;
}
