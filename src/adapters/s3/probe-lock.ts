import { setTimeout as sleep } from 'node:timers/promises';
import { DeleteObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import type { StoreFinding } from '#ports/store-examiner.ts';
import { type Asking, refusalText } from './asking.ts';
import { md5Of } from './content-md5.ts';
import { bucketHasLock } from './look-at-bucket.ts';

/** Long enough to try a deletion, short enough to wait for. */
const lockMs = 4_000;
const body = Buffer.from('a locked probe');

/** Locks an object for seconds and tries to delete it. A store that only says that it locks is found out. */
export async function* probeLock(asking: Asking, place: string): AsyncGenerator<StoreFinding> {
  if (!(await bucketHasLock(asking))) return;
  const topic = 'lock holds';
  const begunMs = performance.now();
  const object = { Bucket: asking.bucket, Key: asking.keyOf(`${place}locked`) };
  const until = new Date((await asking.now()).getTime() + lockMs);
  const lock = { ObjectLockMode: 'GOVERNANCE' as const, ObjectLockRetainUntilDate: until };
  const stored = await asking.ask((client) =>
    client.send(new PutObjectCommand({ ...object, ...lock, Body: body, ContentMD5: md5Of(body) })),
  );
  if ('refusal' in stored) {
    yield {
      topic,
      grade: 'notice',
      found: `a lock of seconds is refused (${refusalText(stored.refusal)})`,
      means: 'whether locks hold is not known',
    };
    return;
  }
  const { VersionId: version } = stored.reply;
  const removed = await asking.askDeleting((client) =>
    client.send(new DeleteObjectCommand({ ...object, ...(version === undefined ? {} : { VersionId: version }) })),
  );
  const holds = 'refusal' in removed;
  yield {
    topic,
    grade: holds ? 'good' : 'bad',
    found: holds ? `a locked object is not deleted (${refusalText(removed.refusal)})` : 'a locked object was deleted',
    means: holds
      ? 'no key deletes what is locked'
      : 'the store says that it locks and does not: a lock protects nothing',
  };
  // Only then can the probe be removed.
  await sleep(Math.max(0, lockMs + 1_000 - (performance.now() - begunMs)));
}
