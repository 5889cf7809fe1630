import { EnclaveManagerError, isEnclaveManagerError } from '#errors/enclave-manager-error.ts';
import type { EpochKeys } from '#keys/epoch-keys.ts';
import type { ObjectStore } from '#ports/object-store.ts';
import type { RowReader, RowWriter } from '#ports/row-transfer.ts';
import { fetchChunk, readNamed } from './fetch-chunk.ts';
import { RowDigest } from './row-digest.ts';
import type { BadObject, StoredChunk, WorkerEvent, WorkerRequest, WorkerResponses } from './worker-protocol.ts';

export interface ChunkPorts {
  readonly store: ObjectStore;
  readonly keys: readonly EpochKeys[];
  readonly emit: (event: WorkerEvent) => void;
}

type LoadRequest = Extract<WorkerRequest, { kind: 'load-chunks' }>;

/** Loads chunks of one table in their order. A chunk is authenticated whole before its first row is sent. */
export async function loadChunks(
  ports: ChunkPorts,
  writer: RowWriter,
  request: LoadRequest,
): Promise<WorkerResponses['load-chunks']> {
  const digest = new RowDigest(request.digestKey ?? new Uint8Array());
  const bad: BadObject[] = [];
  let rows = 0;
  let next = request.chunks[0] && startFetch(ports, request.chunks[0]);
  for (const [index, chunk] of request.chunks.entries()) {
    const fetched = await next!;
    if ('error' in fetched) throw fetched.error;
    const following = request.chunks[index + 1];
    next = following && startFetch(ports, following);
    if (fetched.chunk.bad !== undefined) bad.push(fetched.chunk.bad);
    const loaded = await writer.load(request.table, request.columns, fetched.chunk.rows);
    if (loaded !== chunk.rows) throw differs(request.table, chunk, loaded);
    if (request.digestKey !== undefined) digest.addRows(fetched.chunk.rows);
    rows += loaded;
    ports.emit({ event: 'bytes', count: chunk.rowBytes });
    ports.emit({ event: 'chunk-loaded' });
  }
  return { rows, digest: digest.bytes(), bad };
}

type Fetched = { readonly chunk: Awaited<ReturnType<typeof fetchChunk>> } | { readonly error: unknown };

/** Reads ahead by one chunk; a failure is kept until the chunk's turn, so that it is never an unhandled rejection. */
async function startFetch(ports: ChunkPorts, chunk: StoredChunk): Promise<Fetched> {
  try {
    return { chunk: await fetchChunk(ports.store, ports.keys, chunk) };
  } catch (error) {
    return { error };
  }
}

/** Reads objects back and holds each to its manifest. Bad ones are reported, not thrown; an unreachable store is thrown. */
export async function checkChunks(
  ports: ChunkPorts,
  chunks: readonly StoredChunk[],
): Promise<WorkerResponses['check-chunks']> {
  const read: string[] = [];
  const bad: BadObject[] = [];
  for (const chunk of chunks) {
    try {
      await readNamed(ports.store, ports.keys, chunk);
      read.push(chunk.object.name);
    } catch (error) {
      if (!isEnclaveManagerError(error, 'damaged')) throw error;
      bad.push(await describeBad(ports, chunk, error.message));
    }
    ports.emit({ event: 'bytes', count: chunk.object.sizeBytes });
  }
  return { read, bad };
}

async function describeBad(ports: ChunkPorts, chunk: StoredChunk, reason: string): Promise<BadObject> {
  try {
    const healed = await fetchChunk(ports.store, ports.keys, chunk);
    return { name: chunk.object.name, reason, healedBy: healed.bad?.healedBy };
  } catch (error) {
    if (!isEnclaveManagerError(error, 'damaged')) throw error;
    return { name: chunk.object.name, reason, healedBy: undefined };
  }
}

/** What a database must hold that was filled with these chunks. */
export async function digestChunks(
  ports: ChunkPorts,
  { chunks, digestKey }: Extract<WorkerRequest, { kind: 'digest-chunks' }>,
): Promise<WorkerResponses['digest-chunks']> {
  const digest = new RowDigest(digestKey);
  const bad: BadObject[] = [];
  let rows = 0;
  for (const chunk of chunks) {
    const fetched = await fetchChunk(ports.store, ports.keys, chunk);
    rows += digest.addRows(fetched.rows);
    if (fetched.bad !== undefined) bad.push(fetched.bad);
    ports.emit({ event: 'bytes', count: chunk.rowBytes });
  }
  return { rows, digest: digest.bytes(), bad };
}

export async function digestRange(
  reader: RowReader,
  { range, digestKey }: Extract<WorkerRequest, { kind: 'digest-range' }>,
  emit: ChunkPorts['emit'],
): Promise<WorkerResponses['digest-range']> {
  const digest = new RowDigest(digestKey);
  let unreported = 0;
  const report = (): void => {
    emit({ event: 'bytes', count: unreported });
    unreported = 0;
  };
  const rows = await reader.read(range, {
    row: (buffer, begin, end) => {
      digest.addRow(buffer.subarray(begin, end - 1));
      unreported += end - begin;
    },
    ready: () => {
      if (unreported > 4 * 1024 * 1024) report();
      return undefined;
    },
  });
  report();
  return { rows, digest: digest.bytes() };
}

function differs(table: string, chunk: StoredChunk, loaded: number): EnclaveManagerError {
  return new EnclaveManagerError(
    'rows-differ',
    `the database took ${loaded} rows of chunk ${chunk.id} into "${table}" instead of ${chunk.rows}`,
  );
}
