import { setTimeout as sleep } from 'node:timers/promises';
import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { checkObjectKey, checkObjectPrefix } from '#ports/object-key.ts';
import type { ObjectStore, S3Connection, StoredObject } from '#ports/object-store.ts';
import { OperationFailed, withAttempts, type AttemptHooks } from './attempts.ts';
import { Bucket } from './bucket.ts';
import { Connector } from './connector.ts';
import { explain } from './explain.ts';
import type { Failure } from './failures.ts';
import { defaultLimits, type S3Limits } from './limits.ts';
import { listAll } from './list-objects.ts';
import { Slots } from './slots.ts';
import { WriteOnce } from './write-once.ts';

const credentialCodes = new Set([
  'AccessDenied',
  'ExpiredToken',
  'InvalidAccessKeyId',
  'InvalidToken',
  'SignatureDoesNotMatch',
]);

/** Objects below a prefix of a bucket. Sockets stay open between calls until `close`. */
export class S3Store implements ObjectStore {
  readonly location: string;
  readonly #given: S3Connection;
  readonly #limits: S3Limits;
  readonly #connector: Connector;
  /** With credentials of its own, where they are given: it deletes and does nothing else. */
  readonly #deleting: Connector;
  readonly #bucket: Bucket;
  readonly #writer: WriteOnce;
  readonly #slots: Slots;

  /** Throws `configuration` for files with certificates or credentials that cannot be used. */
  constructor(connection: S3Connection) {
    this.#given = connection;
    this.location = `s3://${connection.bucket}/${connection.prefix}`;
    this.#limits = { ...defaultLimits, ...connection.limits };
    this.#connector = new Connector(connection, this.#limits);
    const { deleteCredentials } = connection;
    this.#deleting =
      deleteCredentials === undefined ? this.#connector : new Connector(connection, this.#limits, deleteCredentials);
    this.#bucket = new Bucket(this.#connector, this.#limits);
    this.#writer = new WriteOnce(this.#bucket, connection.conditionalPuts);
    this.#slots = new Slots(this.#limits.concurrency);
  }

  /** With what was learned about the store so far. */
  get connection(): S3Connection {
    const { seen } = this.#writer;
    return seen === undefined ? this.#given : { ...this.#given, conditionalPuts: seen };
  }

  async put(key: string, body: Uint8Array): Promise<'created' | 'exists'> {
    checkObjectKey(key);
    return await this.#attempt('put', key, () => this.#writer.attempt(key, body));
  }

  async get(key: string, { maxBytes }: { readonly maxBytes: number }): Promise<Buffer | undefined> {
    checkObjectKey(key);
    return await this.#attempt('get', key, () => this.#askTwice(() => this.#bucket.get(key, maxBytes)));
  }

  async head(key: string): Promise<StoredObject | undefined> {
    checkObjectKey(key);
    return await this.#attempt('get', key, async () => {
      const found = await this.#bucket.head(key);
      if (found !== undefined) return found;
      // Only a GET says whether the key is missing or the bucket.
      return (
        (await this.#askTwice(() => this.#bucket.get(key, 0).catch(tooLargeAsThere))) && (await this.#bucket.head(key))
      );
    });
  }

  async *list(prefix: string): AsyncGenerator<StoredObject> {
    checkObjectPrefix(prefix);
    yield* await listAll(this.#given.prefix, prefix, (token) =>
      this.#attempt('list', prefix, () => this.#bucket.listPage(prefix, token)),
    );
  }

  async retain(key: string): Promise<boolean> {
    checkObjectKey(key);
    if (this.#given.objectLock === undefined) return true;
    return await this.#attempt('lock', key, () => this.#bucket.retain(key));
  }

  async delete(key: string): Promise<void> {
    checkObjectKey(key);
    const bucket = new Bucket(this.#deleting, this.#limits);
    await this.#attempt('delete', key, () => bucket.delete(key), this.#deleting);
  }

  async close(): Promise<void> {
    this.#connector.close();
    this.#deleting.close();
  }

  /** Some stores need a moment before they show everywhere what was just stored. */
  async #askTwice<T>(ask: () => Promise<T | undefined>): Promise<T | undefined> {
    const first = await ask();
    if (first !== undefined) return first;
    await sleep(this.#limits.firstPauseMs);
    return await ask();
  }

  async #attempt<T>(
    action: string,
    key: string,
    attempt: () => Promise<T>,
    connector: Connector = this.#connector,
  ): Promise<T> {
    const hooks: AttemptHooks = {
      mended: async ({ code, status }: Failure) =>
        (credentialCodes.has(code ?? '') || status === 403) && (await connector.renew()),
    };
    try {
      return await this.#slots.run(() => withAttempts(this.#limits, hooks, attempt));
    } catch (error) {
      if (!(error instanceof OperationFailed)) throw error;
      if (error.failure.problem === 'corrupt') {
        throw new EnclaveManagerError('damaged', `${key} comes back changed: ${error.message}`, { cause: error });
      }
      const { settings, accessKeyId, refusedCredentials } = connector;
      throw explain(error, { action, key, location: this.location, settings, accessKeyId, refusedCredentials });
    }
  }
}

function tooLargeAsThere(error: unknown): Buffer {
  if (error instanceof EnclaveManagerError && error.code === 'damaged') return Buffer.alloc(0);
  throw error;
}
