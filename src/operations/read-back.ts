import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import type { EpochKeys } from '#keys/epoch-keys.ts';
import { WorkerPool } from '#pipeline/worker-pool.ts';
import type { BadObject, StoredChunk, WorkerRequest } from '#pipeline/worker-protocol.ts';
import type { ObjectStore } from '#ports/object-store.ts';
import { type OperationContext } from './context.ts';
import { beginReading, type ReadingTime } from './reading-time.ts';
import { threadsFor } from './stream-tables.ts';

const chunksPerRequest = 32;

/**
 * Reads the objects that this backup stored, opens each and compares the id of its rows. It happens before the manifest
 * is written, so that a backup whose bytes do not come back is never listed; and by the threads that stored them, which are
 * there already. Resolves with the time it began.
 */
export async function readBack(
  context: OperationContext,
  pool: WorkerPool,
  stored: readonly StoredChunk[],
): Promise<ReadingTime> {
  const begun = beginReading(context.clock);
  context.progress.phase('reading back', sizeOf(stored));
  const [first] = await checkBatches(pool, stored);
  if (first !== undefined)
    throw new EnclaveManagerError('damaged', `${first.reason} right after it was stored; nothing was listed`);
  return begun;
}

/** Checks chunks in worker threads and resolves with the bad ones. */
export async function checkStoredChunks(
  context: OperationContext,
  store: ObjectStore,
  keys: readonly EpochKeys[],
  chunks: readonly StoredChunk[],
  phase: string,
): Promise<BadObject[]> {
  const totalBytes = sizeOf(chunks);
  context.progress.phase(phase, totalBytes);
  if (chunks.length === 0) return [];
  const setup = { store: store.connection, keys };
  const pool = new WorkerPool(context.startWorker, setup, {
    threads: threadsFor(context, totalBytes),
    signal: context.signal,
    onEvent: (event) => {
      if (event.event === 'bytes') context.progress.advance(event.count);
    },
  });
  try {
    return await checkBatches(pool, chunks);
  } finally {
    await pool.close();
  }
}

async function checkBatches(pool: WorkerPool, chunks: readonly StoredChunk[]): Promise<BadObject[]> {
  const results = await pool.performAll<'check-chunks'>(batches(chunks));
  return results.flatMap(({ bad }) => bad);
}

const sizeOf = (chunks: readonly StoredChunk[]): number =>
  chunks.reduce((sum, { object }) => sum + object.sizeBytes, 0);

function batches(chunks: readonly StoredChunk[]): Extract<WorkerRequest, { kind: 'check-chunks' }>[] {
  const count = Math.ceil(chunks.length / chunksPerRequest);
  return Array.from({ length: count }, (_, index) => ({
    kind: 'check-chunks',
    chunks: chunks.slice(index * chunksPerRequest, (index + 1) * chunksPerRequest),
  }));
}
