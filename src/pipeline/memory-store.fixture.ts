import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import type { ObjectStore } from '#ports/object-store.ts';

/** An object store in memory, whose objects a test may change behind its back. */
export function memoryStore(): ObjectStore & { readonly objects: Map<string, Buffer> } {
  const objects = new Map<string, Buffer>();
  return {
    objects,
    location: 'memory:',
    connection: { kind: 'directory', path: '/nowhere' },
    put: async (key, body) => {
      if (objects.has(key)) return 'exists';
      objects.set(key, Buffer.from(body));
      return 'created';
    },
    get: async (key, { maxBytes }) => {
      const bytes = objects.get(key);
      if (bytes !== undefined && bytes.length > maxBytes)
        throw new EnclaveManagerError('damaged', `${key} is too large`);
      return bytes;
    },
    head: async (key) => {
      const bytes = objects.get(key);
      return bytes && { key, sizeBytes: bytes.length, modifiedAt: new Date(0) };
    },
    list: async function* (prefix) {
      for (const key of [...objects.keys()].filter((each) => each.startsWith(prefix)).toSorted()) {
        yield { key, sizeBytes: objects.get(key)!.length, modifiedAt: new Date(0) };
      }
    },
    retain: async () => true,
    delete: async (key) => void objects.delete(key),
    close: async () => {},
  };
}
