import { isEnclaveManagerError } from '#errors/enclave-manager-error.ts';

/** For what counts as missing where it is no regular object, or larger than it may be. */
export function damagedAsAbsent(error: unknown): undefined {
  if (isEnclaveManagerError(error, 'damaged')) return undefined;
  throw error;
}
