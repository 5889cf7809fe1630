import { EnclaveManagerError } from './enclave-manager-error.ts';

const noSpaceCodes = new Set(['ENOSPC', 'EDQUOT']);
const refusalCodes = new Set([
  'EACCES',
  'EPERM',
  'EROFS',
  'ENOTDIR',
  'EISDIR',
  'ELOOP',
  'ENAMETOOLONG',
  'ENOENT',
  'EEXIST',
]);

/** The name of a failed system call's errno, such as `ENOENT`. */
export function errnoName(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

/** What Node's file functions throw, as `no-space` or `configuration` naming the path; anything else unchanged. */
export function fromFileSystemError(error: unknown, path: string): unknown {
  const code = errnoName(error);
  if (code === undefined || !(error instanceof Error)) return error;
  if (noSpaceCodes.has(code)) {
    return new EnclaveManagerError('no-space', `no space is left to write ${path}: ${error.message}`, { cause: error });
  }
  if (!refusalCodes.has(code)) return error;
  if (code === 'EROFS') {
    return new EnclaveManagerError('configuration', `${path} cannot be used: its file system is mounted read-only`, {
      hint: 'Mount it for writing, or set ENCLAVE_MANAGER_DATA_DIR to a directory elsewhere.',
      cause: error,
    });
  }
  return new EnclaveManagerError('configuration', `${path} cannot be used: ${error.message}`, {
    hint: 'Set ENCLAVE_MANAGER_DATA_DIR to a directory that this user can create and write.',
    cause: error,
  });
}
