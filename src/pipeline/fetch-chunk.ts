import { createHash } from 'node:crypto';
import { EnclaveManagerError, isEnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { chunkEpoch, openChunk } from '#format/chunk.ts';
import { chunkObjectPath, chunkPrefix } from '#format/layout.ts';
import type { EpochKeys } from '#keys/epoch-keys.ts';
import type { ObjectReference } from '#format/manifest.ts';
import type { ObjectStore } from '#ports/object-store.ts';
import type { BadObject, StoredChunk } from './worker-protocol.ts';

/** Encrypted and compressed, a chunk is at most a little larger than its rows. */
const overheadBytes = 64 * 1024;
/** How many other encryptions of the same rows are tried before the chunk counts as lost. */
const maxAlternatives = 16;

export interface FetchedChunk {
  readonly rows: Buffer;
  /** The object the manifest names, where it was not the one that served. */
  readonly bad: BadObject | undefined;
}

/**
 * The rows of a chunk, from the object that the manifest names or, where that one is missing or bad, from any other
 * object under the same id that opens to the same rows. Throws `damaged` when none does.
 */
export async function fetchChunk(
  store: ObjectStore,
  keys: readonly EpochKeys[],
  chunk: StoredChunk,
): Promise<FetchedChunk> {
  const named = await attempt(() => readNamed(store, keys, chunk));
  if (Buffer.isBuffer(named)) return { rows: named, bad: undefined };
  for await (const name of alternatives(store, chunk)) {
    const rows = await attempt(() => readObject(store, keys, chunk, name));
    if (Buffer.isBuffer(rows)) return { rows, bad: { name: chunk.object.name, reason: named.message, healedBy: name } };
  }
  throw named;
}

/** Reads only the object that the manifest names, and holds it to size and digest. Throws `damaged`. */
export async function readNamed(store: ObjectStore, keys: readonly EpochKeys[], chunk: StoredChunk): Promise<Buffer> {
  return await readObject(store, keys, chunk, chunk.object.name, chunk.object);
}

/** An object that no backup names, if it holds exactly these rows: what an interrupted backup stored is not stored again. */
export async function readStray(
  store: ObjectStore,
  keys: EpochKeys,
  name: string,
  chunk: { readonly id: string; readonly rowBytes: number },
): Promise<ObjectReference | undefined> {
  const found = await attempt(async () => {
    const bytes = await store.get(chunkObjectPath(name), { maxBytes: chunk.rowBytes + overheadBytes });
    if (bytes === undefined) throw damaged(name, 'is missing');
    openChunk(keys, chunk.id, bytes, { maxRowBytes: chunk.rowBytes });
    return bytes;
  });
  if (!Buffer.isBuffer(found)) return undefined;
  const sha256 = createHash('sha256').update(found).digest('hex');
  return name === `${chunk.id}.${sha256.slice(0, 16)}` ? { name, sizeBytes: found.length, sha256 } : undefined;
}

async function attempt(read: () => Promise<Buffer>): Promise<Buffer | EnclaveManagerError> {
  try {
    return await read();
  } catch (error) {
    if (isEnclaveManagerError(error, 'damaged', 'version-incompatible')) return error;
    throw error;
  }
}

async function readObject(
  store: ObjectStore,
  keys: readonly EpochKeys[],
  chunk: StoredChunk,
  name: string,
  expected?: { readonly sizeBytes: number; readonly sha256: string },
): Promise<Buffer> {
  const bytes = await store.get(chunkObjectPath(name), { maxBytes: chunk.rowBytes + overheadBytes });
  if (bytes === undefined) throw damaged(name, 'is missing');
  if (expected !== undefined) {
    if (bytes.length !== expected.sizeBytes)
      throw damaged(name, `has ${bytes.length} bytes instead of ${expected.sizeBytes}`);
    const digest = createHash('sha256').update(bytes).digest('hex');
    if (digest !== expected.sha256) throw damaged(name, 'has other bytes than were stored');
  }
  const epoch = chunkEpoch(bytes);
  const epochKeys = keys.find((candidate) => candidate.epoch === epoch);
  if (epochKeys === undefined) throw damaged(name, `names epoch ${epoch}, which this backup does not use`);
  const rows = openChunk(epochKeys, chunk.id, bytes, { maxRowBytes: chunk.rowBytes });
  const counted = countRows(rows);
  if (counted !== chunk.rows) throw damaged(name, `holds ${counted} rows instead of ${chunk.rows}`);
  return rows;
}

/** In COPY text a newline byte only ever ends a row. */
function countRows(rows: Buffer): number {
  let count = 0;
  for (let end = rows.indexOf(0x0a); end >= 0; end = rows.indexOf(0x0a, end + 1)) count += 1;
  return count;
}

async function* alternatives(store: ObjectStore, chunk: StoredChunk): AsyncGenerator<string> {
  let tried = 0;
  for await (const object of store.list(chunkPrefix(chunk.id))) {
    const name = object.key.slice(object.key.lastIndexOf('/') + 1);
    if (name === chunk.object.name) continue;
    if (++tried > maxAlternatives) return;
    yield name;
  }
}

function damaged(name: string, what: string): EnclaveManagerError {
  return new EnclaveManagerError('damaged', `chunk object ${name} ${what}`);
}
