import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import type { ObjectStore, StoredObject } from '#ports/object-store.ts';

/** Several times what the largest installation has; a few hundred megabytes of names. */
const maxListed = 2_000_000;

/** A listing that ends: a store that answers with ever more keys is `damaged`, not the end of the process. */
export async function* listBounded(
  store: ObjectStore,
  prefix: string,
  limit: number = maxListed,
): AsyncGenerator<StoredObject> {
  let count = 0;
  for await (const object of store.list(prefix)) {
    count += 1;
    if (count > limit) {
      throw new EnclaveManagerError('damaged', `${store.location} lists more than ${limit} objects under "${prefix}"`, {
        hint: 'No cluster writes so many: remove what was put there, or use another repository.',
      });
    }
    yield object;
  }
}
