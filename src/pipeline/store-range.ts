import { chunkId, sealChunk, type SealedChunk } from '#format/chunk.ts';
import { Cutter } from '#format/cutter.ts';
import { chunkObjectPath } from '#format/layout.ts';
import type { ObjectReference } from '#format/manifest.ts';
import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import type { EpochKeys } from '#keys/epoch-keys.ts';
import type { TableRange } from '#ports/database.ts';
import type { ObjectStore } from '#ports/object-store.ts';
import type { Randomness } from '#ports/randomness.ts';
import type { RowReader, RowSink } from '#ports/row-transfer.ts';
import { readStray } from './fetch-chunk.ts';
import type { KnownChunks } from './known-chunks.ts';
import { UploadQueue } from './upload-queue.ts';
import type { CutChunk, WorkerEvent, WorkerResponses } from './worker-protocol.ts';

/** Uploads of one worker that may be under way at once: bounds memory at about as many sealed chunks. */
const maxUploads = 4;

export interface StoreRangePorts {
  readonly reader: RowReader;
  readonly store: ObjectStore;
  readonly keys: EpochKeys;
  readonly known: KnownChunks;
  /** Chunk id → stored objects that no backup names. */
  readonly strays: ReadonlyMap<string, readonly string[]>;
  readonly randomness: Randomness;
  /** Smaller in tests; the format's default otherwise. */
  readonly averageChunkBytes?: number;
  readonly emit: (event: WorkerEvent) => void;
}

/** Reads one range of a table and stores each chunk of it that is not known yet. */
export async function storeRange(ports: StoreRangePorts, range: TableRange): Promise<WorkerResponses['store-range']> {
  const chunks: CutChunk[] = [];
  const uploads = new UploadQueue(maxUploads);
  const cutter = new Cutter({
    key: ports.keys.cutter,
    table: range.table,
    keyColumns: range.keyColumns,
    ...(ports.averageChunkBytes === undefined ? {} : { averageBytes: ports.averageChunkBytes }),
    onChunk: (rows, rowCount) => chunks.push(storeChunk(ports, uploads, rows, rowCount)),
  });
  const sink: RowSink = {
    row: (buffer, begin, end) => cutter.row(buffer, begin, end),
    ready: () => uploads.ready(),
  };
  const rows = await ports.reader.read(range, sink);
  cutter.finish();
  await uploads.drain();
  return { rows, chunks };
}

/** The rows are hashed first: a chunk that is stored already is neither compressed nor encrypted. */
function storeChunk(ports: StoreRangePorts, uploads: UploadQueue, rows: Buffer, rowCount: number): CutChunk {
  const id = chunkId(ports.keys, rows);
  const reference = { id, rows: rowCount, rowBytes: rows.length };
  ports.emit({ event: 'bytes', count: rows.length });
  if (ports.known.has(id)) return reference;
  const strays = ports.strays.get(id);
  if (strays !== undefined) return reuseOrStore(ports, uploads, { ...reference }, { strays, rows: Buffer.from(rows) });
  const sealed = sealChunk(ports.keys, id, rows, ports.randomness);
  uploads.add(() => upload(ports, sealed));
  return { ...reference, object: referenceTo(sealed) };
}

/** The chunk gets its object when the queue has run. */
function reuseOrStore(
  ports: StoreRangePorts,
  uploads: UploadQueue,
  chunk: CutChunk,
  { strays, rows }: { readonly strays: readonly string[]; readonly rows: Buffer },
): CutChunk {
  uploads.add(async () => {
    for (const name of strays) {
      const object = await readStray(ports.store, ports.keys, name, chunk);
      if (object !== undefined) return void Object.assign(chunk, { object, reused: true });
    }
    const sealed = sealChunk(ports.keys, chunk.id, rows, ports.randomness);
    await upload(ports, sealed);
    Object.assign(chunk, { object: referenceTo(sealed) });
  });
  return chunk;
}

async function upload(ports: StoreRangePorts, sealed: SealedChunk): Promise<void> {
  await putNew(ports.store, sealed.objectName, sealed.bytes);
  ports.emit({ event: 'chunk-stored' });
}

function referenceTo({ objectName, bytes, sha256 }: SealedChunk): ObjectReference {
  return { name: objectName, sizeBytes: bytes.length, sha256 };
}

/** The name is made of a fresh encryption's digest: an object that is there already was put there by somebody else. */
async function putNew(store: ObjectStore, objectName: string, bytes: Buffer): Promise<void> {
  if ((await store.put(chunkObjectPath(objectName), bytes)) === 'created') return;
  const present = await store.get(chunkObjectPath(objectName), { maxBytes: bytes.length });
  if (present === undefined || !present.equals(bytes)) {
    throw new EnclaveManagerError('damaged', `object ${objectName} exists in ${store.location} with other bytes`);
  }
}
