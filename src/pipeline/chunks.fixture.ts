import { createHash } from 'node:crypto';
import { chunkId, sealChunk } from '#format/chunk.ts';
import { chunkObjectPath } from '#format/layout.ts';
import { deriveEpochKeys } from '#keys/epoch-keys.ts';
import type { ObjectStore } from '#ports/object-store.ts';
import type { Randomness } from '#ports/randomness.ts';
import type { StoredChunk } from './worker-protocol.ts';

let drawn = 0;

/** Other bytes each time, the same in every run. */
export const countingRandomness: Randomness = {
  bytes: (length) => createHash('shake256', { outputLength: length }).update(`${drawn++}`).digest(),
};

export const testKeys = (epoch: number) =>
  deriveEpochKeys(Buffer.alloc(32, epoch), '00000000-0000-7000-8000-000000000000', epoch);

/** Stores one more encryption of the rows and says how a manifest would name it. */
export async function storeRows(
  store: ObjectStore,
  keys: ReturnType<typeof testKeys>,
  text: string,
): Promise<StoredChunk> {
  const rows = Buffer.from(text);
  const id = chunkId(keys, rows);
  const { objectName, bytes, sha256 } = sealChunk(keys, id, rows, countingRandomness);
  await store.put(chunkObjectPath(objectName), bytes);
  const object = { name: objectName, sizeBytes: bytes.length, sha256 };
  return { id, rows: text.split('\n').length - 1, rowBytes: rows.length, object };
}
