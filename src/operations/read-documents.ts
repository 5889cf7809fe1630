import type { ObjectStore, StoredObject } from '#ports/object-store.ts';
import { listBounded } from './list-bounded.ts';

/** Documents asked for at once, and their bytes together by what the listing says. */
const maxAtOnce = 16;
const maxBytesAtOnce = 32 * 1024 * 1024;
/** A listing that belittles an object gets no more than this of it into memory. */
const leastLimitBytes = 1024 * 1024;

/** A document that is there, or what reading it failed with. */
export interface ReadDocument {
  readonly object: StoredObject;
  /** Throws what the store threw. */
  bytes(): Buffer;
}

/**
 * Every object below a prefix, in key order: read, several at once and in bounded memory, unless `isKnown` says that it
 * need not be; then it comes without its bytes. What went away since it was listed is left out.
 */
export async function* readDocuments(
  store: ObjectStore,
  prefix: string,
  maxBytes: number,
  isKnown: (object: StoredObject) => boolean = () => false,
): AsyncGenerator<ReadDocument> {
  const waiting: { readonly object: StoredObject; readonly read: Promise<(() => Buffer) | undefined> }[] = [];
  let waitingBytes = 0;
  async function* drain(atMost: number, atMostBytes: number): AsyncGenerator<ReadDocument> {
    while (waiting.length > atMost || (waiting.length > 0 && waitingBytes > atMostBytes)) {
      const { object, read } = waiting.shift()!;
      const bytes = await read;
      waitingBytes -= object.sizeBytes;
      if (bytes !== undefined) yield { object, bytes };
    }
  }
  for await (const object of listBounded(store, prefix)) {
    if (isKnown(object)) waiting.push({ object, read: known });
    else waiting.push({ object, read: readOne(store, object, maxBytes) });
    waitingBytes += object.sizeBytes;
    yield* drain(maxAtOnce - 1, maxBytesAtOnce);
  }
  yield* drain(0, 0);
}

const known = Promise.resolve((): Buffer => {
  throw new Error('a document that is known was not read');
});

/** Never rejects: a failure waits until it is its turn. */
async function readOne(
  store: ObjectStore,
  { key, sizeBytes }: StoredObject,
  maxBytes: number,
): Promise<(() => Buffer) | undefined> {
  try {
    const bytes = await store.get(key, { maxBytes: Math.min(maxBytes, Math.max(sizeBytes, leastLimitBytes)) });
    return bytes && (() => bytes);
  } catch (error) {
    return () => {
      throw error;
    };
  }
}
