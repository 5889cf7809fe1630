import type { ConditionalPuts } from '#ports/object-store.ts';
import type { Bucket } from './bucket.ts';
import { readFailure } from './failures.ts';
import { ReplyProblem } from './reply-problem.ts';

/**
 * Puts that never overwrite, whatever the store makes of `If-None-Match: *`.
 *
 * Until that is known every put looks first, and the first object that was created is put once more, byte for byte the
 * same: a store that honours the condition refuses that, one that ignores it changes nothing. Nothing is left behind, and
 * no right to delete is needed. Where it is ignored, looking first stays: then only two writers of one key in the same
 * moment could overwrite each other, and keys are unique but for the few that are written under a lease.
 */
export class WriteOnce {
  readonly #bucket: Bucket;
  #seen: ConditionalPuts | undefined;
  #asking: Promise<void> | undefined;

  constructor(bucket: Bucket, seen: ConditionalPuts | undefined) {
    this.#bucket = bucket;
    this.#seen = seen;
  }

  get seen(): ConditionalPuts | undefined {
    return this.#seen;
  }

  /** One attempt at a put. The first to come asks the store; the others wait until it answered. */
  async attempt(key: string, body: Uint8Array): Promise<'created' | 'exists'> {
    while (this.#seen === undefined && this.#asking !== undefined) await this.#asking;
    if (this.#seen !== undefined) return await this.#put(key, body);
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#asking = promise;
    try {
      const outcome = await this.#put(key, body);
      if (outcome === 'created') await this.#ask(key, body);
      return outcome;
    } finally {
      this.#asking = undefined;
      resolve();
    }
  }

  async #put(key: string, body: Uint8Array): Promise<'created' | 'exists'> {
    if (this.#seen !== 'honoured' && (await this.#bucket.head(key)) !== undefined)
      return await this.#compare(key, body);
    try {
      await this.#bucket.put(key, body, { onlyIfAbsent: this.#seen !== 'refused' });
      return 'created';
    } catch (error) {
      const { status, code } = readFailure(error);
      if (status === 412) return await this.#compare(key, body);
      if (this.#seen !== 'refused' && (status === 501 || code === 'NotImplemented')) {
        this.#seen = 'refused';
        return await this.#put(key, body);
      }
      throw error;
    }
  }

  /**
   * The key is taken, perhaps by ourselves: the reply to an earlier attempt may have been lost, on the way to us or to a
   * proxy that then tried again. The bytes tell.
   */
  async #compare(key: string, body: Uint8Array): Promise<'created' | 'exists'> {
    const there = await this.#bucket.head(key);
    if (there !== undefined && there.sizeBytes !== body.length) return 'exists';
    const bytes = await this.#bucket.get(key, body.length);
    if (bytes === undefined) throw new ReplyProblem('strange', 'the key is said to be taken and to be absent');
    return bytes.equals(body) ? 'created' : 'exists';
  }

  /** Whatever it answers, the object is stored; an unclear answer leaves the question open. */
  async #ask(key: string, body: Uint8Array): Promise<void> {
    if (this.#seen !== undefined) return;
    try {
      await this.#bucket.put(key, body, { onlyIfAbsent: true });
      this.#seen = 'ignored';
    } catch (error) {
      if (readFailure(error).status === 412) this.#seen = 'honoured';
    }
  }
}
