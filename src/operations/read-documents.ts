import type { ObjectStore, StoredObject } from '#ports/object-store.ts';
import { listBounded } from './list-bounded.ts';

/** Documents worked on at once, and their bytes together by what the listing says. */
const maxAtOnce = 16;
const maxBytesAtOnce = 32 * 1024 * 1024;
/** A listing that belittles an object gets no more than this of it into memory. */
const leastLimitBytes = 1024 * 1024;

/**
 * What `work` makes of every object below a prefix, in key order: several at once and in bounded memory. Rejects with the
 * first failure in that order; `undefined` is left out.
 */
export async function* workThrough<T>(
  store: ObjectStore,
  prefix: string,
  work: (object: StoredObject) => Promise<T | undefined> | T,
): AsyncGenerator<T> {
  const waiting: { readonly sizeBytes: number; readonly result: Promise<() => T | undefined> }[] = [];
  let waitingBytes = 0;
  async function* drain(atMost: number, atMostBytes: number): AsyncGenerator<T> {
    while (waiting.length > atMost || (waiting.length > 0 && waitingBytes > atMostBytes)) {
      const { sizeBytes, result } = waiting.shift()!;
      const value = (await result)();
      waitingBytes -= sizeBytes;
      if (value !== undefined) yield value;
    }
  }
  for await (const object of listBounded(store, prefix)) {
    waiting.push({ sizeBytes: object.sizeBytes, result: settled(work, object) });
    waitingBytes += object.sizeBytes;
    yield* drain(maxAtOnce - 1, maxBytesAtOnce);
  }
  yield* drain(0, 0);
}

/** Never rejects: a failure waits until it is its turn. */
async function settled<T>(
  work: (object: StoredObject) => Promise<T | undefined> | T,
  object: StoredObject,
): Promise<() => T | undefined> {
  try {
    const value = await work(object);
    return () => value;
  } catch (error) {
    return () => {
      throw error;
    };
  }
}

/** The bytes of a listed document; `undefined` for one that went away since. */
export async function readDocument(
  store: ObjectStore,
  { key, sizeBytes }: StoredObject,
  maxBytes: number,
): Promise<Buffer | undefined> {
  return await store.get(key, { maxBytes: Math.min(maxBytes, Math.max(sizeBytes, leastLimitBytes)) });
}
