import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import type { EpochKeys } from '#keys/epoch-keys.ts';
import type { OpenedKeyring } from '#keys/keyring.ts';
import { WorkerPool } from '#pipeline/worker-pool.ts';
import type { BadObject, StoredChunk, WorkerRequest } from '#pipeline/worker-protocol.ts';
import type { ObjectStore } from '#ports/object-store.ts';
import { type OperationContext } from './context.ts';
import { threadsFor } from './stream-tables.ts';

const chunksPerRequest = 32;

/**
 * Reads the objects that this backup stored, opens each and compares the id of its rows. It happens before the manifest
 * is written, so that a backup whose bytes do not come back is never listed. Resolves with the time it was done.
 */
export async function readBack(
  context: OperationContext,
  store: ObjectStore,
  keyring: OpenedKeyring,
  stored: readonly StoredChunk[],
): Promise<string> {
  const bad = await checkStoredChunks(context, store, [keyring.currentEpoch], stored, 'reading back');
  const [first] = bad;
  if (first !== undefined)
    throw new EnclaveManagerError('damaged', `${first.reason} right after it was stored; nothing was listed`);
  return context.clock.now().toISOString();
}

/** Checks chunks in worker threads and resolves with the bad ones. */
export async function checkStoredChunks(
  context: OperationContext,
  store: ObjectStore,
  keys: readonly EpochKeys[],
  chunks: readonly StoredChunk[],
  phase: string,
): Promise<BadObject[]> {
  const totalBytes = chunks.reduce((sum, { object }) => sum + object.sizeBytes, 0);
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
    const results = await pool.performAll<'check-chunks'>(batches(chunks));
    return results.flatMap(({ bad }) => bad);
  } finally {
    await pool.close();
  }
}

function batches(chunks: readonly StoredChunk[]): Extract<WorkerRequest, { kind: 'check-chunks' }>[] {
  const count = Math.ceil(chunks.length / chunksPerRequest);
  return Array.from({ length: count }, (_, index) => ({
    kind: 'check-chunks',
    chunks: chunks.slice(index * chunksPerRequest, (index + 1) * chunksPerRequest),
  }));
}
