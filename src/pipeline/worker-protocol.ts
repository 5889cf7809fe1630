import type { EpochKeys } from '#keys/epoch-keys.ts';
import type { ErrorCode } from '#errors/codes.ts';
import type { DatabaseConnection, TableRange } from '#ports/database.ts';
import type { ObjectStoreConnection } from '#ports/object-store.ts';
import type { ChunkReference, ObjectReference } from '#format/manifest.ts';

/** What a worker thread is given once, at its start. It holds keys and a password: it goes to threads of this process only. */
export interface WorkerSetup {
  readonly store?: ObjectStoreConnection;
  /** Keys of every epoch that the work may meet, the current one first. */
  readonly keys: readonly EpochKeys[];
  /** Read rows at this snapshot. */
  readonly read?: { readonly connection: DatabaseConnection; readonly snapshot: string };
  /** Load rows into this database. */
  readonly write?: { readonly connection: DatabaseConnection };
  /** Chunk ids that are stored already: 32 bytes each, one after another. */
  readonly knownIds?: Uint8Array;
  /** Names of stored objects that no backup names, as an interrupted backup leaves them. */
  readonly strays?: readonly string[];
}

/** A chunk of a manifest together with the object that the manifest names for it. */
export interface StoredChunk extends ChunkReference {
  readonly object: ObjectReference;
}

export type WorkerRequest =
  | { readonly kind: 'store-range'; readonly range: TableRange }
  | { readonly kind: 'check-chunks'; readonly chunks: readonly StoredChunk[] }
  | {
      readonly kind: 'load-chunks';
      readonly table: string;
      readonly columns: readonly string[];
      readonly chunks: readonly StoredChunk[];
      /** Where the rows are to be compared with others: the key of that comparison. */
      readonly digestKey: Uint8Array | undefined;
    }
  | { readonly kind: 'digest-chunks'; readonly chunks: readonly StoredChunk[]; readonly digestKey: Uint8Array }
  | { readonly kind: 'digest-range'; readonly range: TableRange; readonly digestKey: Uint8Array };

/** A chunk as it was cut: `object` is absent where the id is stored already. */
export interface CutChunk extends ChunkReference {
  readonly object?: ObjectReference;
  /** The object was there already, although no backup named it. */
  readonly reused?: boolean;
}

export interface WorkerResponses {
  readonly 'store-range': { readonly rows: number; readonly chunks: readonly CutChunk[] };
  readonly 'check-chunks': { readonly read: readonly string[]; readonly bad: readonly BadObject[] };
  readonly 'load-chunks': { readonly rows: number; readonly digest: Uint8Array; readonly bad: readonly BadObject[] };
  readonly 'digest-chunks': { readonly rows: number; readonly digest: Uint8Array; readonly bad: readonly BadObject[] };
  readonly 'digest-range': { readonly rows: number; readonly digest: Uint8Array };
}

/** An object that a manifest names and that did not open; `healedBy` is the one that served instead. */
export interface BadObject {
  readonly name: string;
  readonly reason: string;
  readonly healedBy: string | undefined;
}

export type WorkerEvent =
  | { readonly event: 'bytes'; readonly count: number }
  | { readonly event: 'chunk-stored' }
  | { readonly event: 'chunk-loaded' };

export type FromWorker =
  | WorkerEvent
  | { readonly event: 'done'; readonly response: unknown }
  | {
      readonly event: 'failed';
      readonly error: { readonly code: ErrorCode; readonly message: string; readonly hint: string };
    };

/** A thread that performs one request at a time. */
export interface WorkerThread {
  perform<K extends WorkerRequest['kind']>(
    request: Extract<WorkerRequest, { kind: K }>,
    onEvent: (event: WorkerEvent) => void,
  ): Promise<WorkerResponses[K]>;
  /** Ends the thread, also in the middle of a request, which then rejects. */
  terminate(): Promise<void>;
}

/** Starts threads; given by the composition root, which knows `worker.ts`. */
export type StartWorker = (setup: WorkerSetup) => WorkerThread;
