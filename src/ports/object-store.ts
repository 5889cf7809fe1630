import type { FailureMemory } from './failure-memory.ts';
import type { S3Settings } from '#model/s3-settings.ts';

/**
 * A flat store of immutable objects: a bucket with a prefix, or a directory.
 *
 * - Keys are relative, `/`-separated segments of `[A-Za-z0-9._-]` that begin with a letter or digit; an adapter refuses
 *   others (`object-key.ts`). No key is also the directory part of another.
 * - An object is whole or absent: no reader ever sees part of one.
 * - When `put` resolves with `created`, the object is durable: it survives a power failure.
 * - Nothing is ever overwritten.
 * - Adapters retry what is safe to retry; what they throw is final for the caller:
 *   `repository-unreachable`, `no-space`, `configuration`.
 */
export interface ObjectStore {
  /** What a person calls it, without secrets: `file:///…`, `s3://bucket/prefix`. */
  readonly location: string;
  /** JSON that lets a worker thread open the same store (see `worker.ts`). */
  readonly connection: ObjectStoreConnection;
  /** What this host remembers of it besides; absent where it remembers nothing. */
  readonly failures?: FailureMemory;

  /**
   * Creates the object, or says that the key is taken and leaves what is there. What lies there with the same bytes may
   * count as created: a reply that was lost cannot be told from it.
   */
  put(key: string, body: Uint8Array): Promise<'created' | 'exists'>;
  /** The whole object; `undefined` where there is none. More than `maxBytes` → `damaged`, as is anything that cannot be an object. */
  get(key: string, limit: { readonly maxBytes: number }): Promise<Buffer | undefined>;
  /** `undefined` where there is none. */
  head(key: string): Promise<StoredObject | undefined>;
  /** Every object whose key begins with `prefix`, in key order, read in bounded pages. */
  list(prefix: string): AsyncIterable<StoredObject>;
  /**
   * Makes sure that the object stays at least as long as one put now: where objects are locked, its lock is extended.
   * `false` where that cannot be done, because it is gone or its lock cannot be changed: it has to be stored anew. A store
   * without locks answers `true` without looking.
   */
  retain(key: string): Promise<boolean>;
  /** Deletes; a key that is not there counts as deleted. */
  delete(key: string): Promise<void>;
  close(): Promise<void>;
}

export interface StoredObject {
  readonly key: string;
  readonly sizeBytes: number;
  /** By the store's clock; `head` may give whole seconds. */
  readonly modifiedAt: Date;
  /**
   * Only from `list`: another one whenever other bytes lie under the key, as far as the store notices (an ETag; inode and
   * times of change of a file). Whoever can change bytes behind the store's back escapes it, so it proves nothing.
   */
  readonly version?: string | undefined;
}

/** May hold secrets: it goes to threads of this process, never into a log, an error or a document. */
export type ObjectStoreConnection = { readonly kind: 'directory'; readonly path: string } | S3Connection;

export interface S3Connection extends S3Settings {
  readonly kind: 's3';
  /** What the store was seen to do with `If-None-Match: *`; absent: nobody has asked it yet. */
  readonly conditionalPuts?: ConditionalPuts;
  /** Other limits than the adapter's own, for tests. */
  readonly limits?: Readonly<Record<string, number>>;
}

/** The second conditional put of a key is refused; or it overwrites; or the condition itself is refused. */
export type ConditionalPuts = 'honoured' | 'ignored' | 'refused';
