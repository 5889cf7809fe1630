import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import type { ObjectStore } from '#ports/object-store.ts';

/** The repository, or `configuration` where this manager runs without one. */
export function requireStore(store: ObjectStore | undefined): ObjectStore {
  if (store !== undefined) return store;
  throw withoutRepository();
}

export const withoutRepository = (): EnclaveManagerError =>
  new EnclaveManagerError('configuration', 'this manager runs without a repository (ENCLAVE_MANAGER_REPOSITORY=none)', {
    hint: 'Set ENCLAVE_MANAGER_REPOSITORY to a directory (file:///…) or a bucket (s3://bucket/prefix).',
  });
