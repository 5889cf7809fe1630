import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';

const noSpace = new Set(['ENOSPC', 'EDQUOT']);
const notAllowed = new Set(['EACCES', 'EPERM']);
const misplaced = new Set(['ENOTDIR', 'ENAMETOOLONG', 'ELOOP']);
const chooseAnother = 'Give this user the directory of ENCLAVE_MANAGER_REPOSITORY, or name another.';

/** The code of a failed system call, such as `ENOENT`. */
export function failureCode(error: unknown): string | undefined {
  const code = error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
  return typeof code === 'string' ? code : undefined;
}

/** Gives a failed system call its place in our list of errors, with the path it was about. */
export function fileFailure(action: string, path: string, error: unknown): EnclaveManagerError {
  if (error instanceof EnclaveManagerError) return error;
  const code = failureCode(error) ?? String(error);
  if (noSpace.has(code)) {
    return new EnclaveManagerError('no-space', `no space left to ${action} ${path} (${code})`, { cause: error });
  }
  if (notAllowed.has(code)) {
    const message = `this user may not ${action} ${path} (${code})`;
    return new EnclaveManagerError('configuration', message, { hint: chooseAnother, cause: error });
  }
  if (code === 'EROFS') {
    const message = `cannot ${action} ${path}: its file system is mounted read-only (EROFS)`;
    const hint = 'Mount it for writing, or name another directory: ENCLAVE_MANAGER_REPOSITORY.';
    return new EnclaveManagerError('configuration', message, { hint, cause: error });
  }
  if (misplaced.has(code)) {
    const message = `cannot ${action} ${path}: no directory can be there (${code})`;
    return new EnclaveManagerError('configuration', message, { hint: chooseAnother, cause: error });
  }
  return new EnclaveManagerError('repository-unreachable', `cannot ${action} ${path} (${code})`, { cause: error });
}

/** A file where a repository should be is not an empty repository. */
export function noDirectoryAt(root: string, cause: unknown): EnclaveManagerError {
  return new EnclaveManagerError(
    'configuration',
    `${root} cannot be a repository: there, or on the way there, is a file (ENOTDIR)`,
    { hint: 'Name a directory: ENCLAVE_MANAGER_REPOSITORY.', cause },
  );
}
