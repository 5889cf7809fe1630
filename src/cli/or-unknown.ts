import { EnclaveManagerError, isEnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { unknownBecause } from '#model/unknown.ts';

/** A question that cannot be answered here is no "none": the failure says that the answer is unknown, and why. */
export async function orUnknown<T>(question: string, answer: () => Promise<T>): Promise<T> {
  try {
    return await answer();
  } catch (error) {
    if (!isEnclaveManagerError(error, ...unusable)) throw error;
    const { code, hint } = error;
    throw new EnclaveManagerError(code, `${question} is ${unknownBecause(error)}`, { hint, cause: error });
  }
}

/** What repository, database or key that cannot be used are told by. */
const unusable = [
  'configuration',
  'repository-unreachable',
  'database-unreachable',
  'sealing-unavailable',
  'no-key',
] as const;
