import { EnclaveManagerError, toEnclaveManagerError } from '#errors/enclave-manager-error.ts';
import type { EpochKeys } from '#keys/epoch-keys.ts';
import type { DatabaseConnection } from '#ports/database.ts';
import type { ObjectStore, ObjectStoreConnection } from '#ports/object-store.ts';
import type { Randomness } from '#ports/randomness.ts';
import type { RowReader, RowWriter } from '#ports/row-transfer.ts';
import { KnownChunks } from './known-chunks.ts';
import { checkChunks, digestChunks, digestRange, loadChunks } from './load-chunks.ts';
import { storeRange } from './store-range.ts';
import type { FromWorker, WorkerRequest, WorkerResponses, WorkerSetup } from './worker-protocol.ts';

/** What the composition root of the worker thread knows how to open. */
export interface WorkerAdapters {
  readonly randomness: Randomness;
  openStore(connection: ObjectStoreConnection): Promise<ObjectStore>;
  openReader(connection: DatabaseConnection, snapshot: string): Promise<RowReader>;
  openWriter(connection: DatabaseConnection): Promise<RowWriter>;
}

/** Performs requests one at a time; opens connections when the first request needs them and keeps them. */
export class WorkerLoop {
  readonly #setup: WorkerSetup;
  readonly #adapters: WorkerAdapters;
  readonly #post: (message: FromWorker) => void;
  readonly #known: KnownChunks;
  readonly #strays: ReadonlyMap<string, readonly string[]>;
  #store: ObjectStore | undefined;
  #reader: RowReader | undefined;
  #writer: RowWriter | undefined;

  constructor(setup: WorkerSetup, adapters: WorkerAdapters, post: (message: FromWorker) => void) {
    this.#setup = { ...setup, keys: setup.keys.map(withBuffers) };
    this.#adapters = adapters;
    this.#post = post;
    this.#known = new KnownChunks(setup.knownIds ?? new Uint8Array());
    this.#strays = Map.groupBy(setup.strays ?? [], (name) => name.slice(0, name.indexOf('.')));
  }

  async handle(request: WorkerRequest): Promise<void> {
    try {
      this.#post({ event: 'done', response: await this.#perform(request) });
    } catch (thrown) {
      const error = toEnclaveManagerError(thrown);
      this.#post({ event: 'failed', error: { code: error.code, message: error.message, hint: error.hint } });
    }
  }

  async #perform(request: WorkerRequest): Promise<WorkerResponses[WorkerRequest['kind']]> {
    const { keys } = this.#setup;
    const emit = this.#post;
    switch (request.kind) {
      case 'store-range': {
        const [current] = keys;
        if (current === undefined) throw new EnclaveManagerError('unexpected', 'a worker was started without keys');
        const { randomness } = this.#adapters;
        const ports = {
          reader: await this.#openReader(),
          store: await this.#openStore(),
          keys: current,
          known: this.#known,
          strays: this.#strays,
        };
        return await storeRange({ ...ports, randomness, emit }, request.range);
      }
      case 'check-chunks':
        return await checkChunks({ store: await this.#openStore(), keys, emit }, request.chunks);
      case 'load-chunks':
        return await loadChunks({ store: await this.#openStore(), keys, emit }, await this.#openWriter(), request);
      case 'digest-chunks':
        return await digestChunks({ store: await this.#openStore(), keys, emit }, request);
      case 'digest-range':
        return await digestRange(await this.#openReader(), request, emit);
    }
  }

  async #openStore(): Promise<ObjectStore> {
    if (this.#setup.store === undefined)
      throw new EnclaveManagerError('unexpected', 'a worker was started without a store');
    return (this.#store ??= await this.#adapters.openStore(this.#setup.store));
  }

  async #openReader(): Promise<RowReader> {
    const { read } = this.#setup;
    if (read === undefined) throw new EnclaveManagerError('unexpected', 'a worker was started without a snapshot');
    return (this.#reader ??= await this.#adapters.openReader(read.connection, read.snapshot));
  }

  async #openWriter(): Promise<RowWriter> {
    const { write } = this.#setup;
    if (write === undefined)
      throw new EnclaveManagerError('unexpected', 'a worker was started without a database to load into');
    return (this.#writer ??= await this.#adapters.openWriter(write.connection));
  }
}

/** A structured clone turns Buffers into plain Uint8Arrays. */
function withBuffers(keys: EpochKeys): EpochKeys {
  return {
    epoch: keys.epoch,
    chunkId: Buffer.from(keys.chunkId),
    cutter: Buffer.from(keys.cutter),
    chunk: Buffer.from(keys.chunk),
    manifest: Buffer.from(keys.manifest),
    column: Buffer.from(keys.column),
    signingKey: Buffer.from(keys.signingKey),
  };
}
