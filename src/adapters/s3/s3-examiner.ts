import type { S3Connection } from '#ports/object-store.ts';
import type { StoreExaminer, StoreFinding } from '#ports/store-examiner.ts';
import { Asking } from './asking.ts';
import { lookAtBucket, readDefaultRetention } from './look-at-bucket.ts';
import { probeConditions, probeUploadChecks } from './probe-uploads.ts';
import { probeLock } from './probe-lock.ts';
import { S3Store } from './s3-store.ts';
import { sweepVersions } from './sweep-versions.ts';

/** The S3 doctor: what a bucket does, and what our keys may do in it. */
export class S3Examiner implements StoreExaminer {
  readonly store: S3Store;
  readonly #asking: Asking;

  constructor(connection: S3Connection) {
    const { objectLock: _, ...unlocked } = connection;
    this.store = new S3Store(unlocked);
    this.#asking = new Asking(connection);
  }

  async whyProbesWouldStay(): Promise<string | undefined> {
    const retention = await readDefaultRetention(this.#asking);
    if (retention !== undefined) return `the bucket locks every object by default (${retention}), so it would stay`;
    return (await this.#asking.mayDelete())
      ? undefined
      : 'the access key may not delete, so it would stay; ENCLAVE_MANAGER_PRUNE_ACCESS_KEY_ID can name one that may';
  }

  look(): AsyncIterable<StoreFinding> {
    return lookAtBucket(this.#asking);
  }

  async *probe(place: string): AsyncGenerator<StoreFinding> {
    yield* probeConditions(this.#asking, place);
    yield* probeUploadChecks(this.#asking, place);
    yield* probeLock(this.#asking, place);
  }

  async sweep(place: string): Promise<readonly string[]> {
    return await sweepVersions(this.#asking, place);
  }

  async close(): Promise<void> {
    this.#asking.close();
    await this.store.close();
  }
}
