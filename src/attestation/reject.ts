import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';

/** Evidence proves something or it does not; why not is for people. */
export function rejectEvidence(reason: string): never {
  throw new EnclaveManagerError('evidence-rejected', reason);
}
