/** What a bucket says of itself; nothing is put. */
import { isIP } from 'node:net';
import {
  GetBucketLifecycleConfigurationCommand,
  GetBucketVersioningCommand,
  GetObjectLockConfigurationCommand,
  ListObjectsV2Command,
  type LifecycleRule,
} from '@aws-sdk/client-s3';
import type { StoreFinding } from '#ports/store-examiner.ts';
import { type Asking, refusalText } from './asking.ts';
import { openClient } from './client.ts';
import { readIdentity } from './credentials.ts';
import { readFailure, type Failure } from './failures.ts';
import { defaultLimits } from './limits.ts';

export async function* lookAtBucket(asking: Asking): AsyncGenerator<StoreFinding> {
  yield endpoint(asking);
  yield await addressing(asking);
  yield await deleting(asking);
  yield await versioning(asking);
  yield await lock(asking);
  yield await lifecycle(asking);
}

function endpoint({ connection: { endpoint: url, region } }: Asking): StoreFinding {
  const plain = url.startsWith('http:');
  return {
    topic: 'endpoint',
    grade: plain ? 'notice' : 'good',
    found: `${url}, signed for the region ${region}`,
    means: plain
      ? 'without TLS others on the way see which objects come and go; rows, keys and the secret they do not see'
      : 'nobody on the way sees or changes requests',
  };
}

/** The style in use has just listed the bucket; the other one is tried, to know whether there is a choice. */
async function addressing({ connection, bucket }: Asking): Promise<StoreFinding> {
  const { addressing: used } = connection;
  if (isIP(new URL(connection.endpoint).hostname.replace(/^\[|\]$/g, '')) !== 0) {
    const means = 'a bucket cannot be part of an address, so nothing else is possible';
    return { topic: 'address', grade: 'good', found: 'path style works', means };
  }
  const other = used === 'path' ? 'virtual' : 'path';
  const limits = { ...defaultLimits, connectMs: 3_000, requestMs: 5_000 };
  const client = openClient({ ...connection, addressing: other }, readIdentity(connection.credentials), limits);
  const answer = await client.send(new ListObjectsV2Command({ Bucket: bucket, MaxKeys: 1 })).then(
    () => 'works too',
    (error: unknown) => `does not (${refusalText(readFailure(error))})`,
  );
  client.destroy();
  return {
    topic: 'address',
    grade: 'good',
    found: `${used} style works, ${other} style ${answer}`,
    means: `ENCLAVE_MANAGER_S3_ADDRESSING=${used} is right`,
  };
}

async function deleting(asking: Asking): Promise<StoreFinding> {
  const topic = 'right to delete';
  const usual = await asking.mayDelete('usual');
  const own = asking.connection.deleteCredentials !== undefined;
  if (own && !(await asking.mayDelete())) {
    return {
      topic,
      grade: 'bad',
      found: 'the credentials for pruning may not delete',
      means: 'prune fails: give ENCLAVE_MANAGER_PRUNE_ACCESS_KEY_ID the right s3:DeleteObject',
    };
  }
  if (usual) {
    return {
      topic,
      grade: 'notice',
      found: 'the access key that backs up may delete',
      means: 'whoever steals it can delete every backup: use object lock, or another key for pruning',
    };
  }
  return {
    topic,
    grade: 'good',
    found: `the access key that backs up may not delete${own ? ', another one for pruning may' : ''}`,
    means: own
      ? 'a stolen key deletes no backup'
      : 'a stolen key deletes no backup; backup prune needs a key of its own',
  };
}

async function versioning(asking: Asking): Promise<StoreFinding> {
  const topic = 'versions';
  const answer = await asking.ask((client) => client.send(new GetBucketVersioningCommand({ Bucket: asking.bucket })));
  if ('refusal' in answer) return unknown(topic, answer.refusal, 'whether deleted objects stay and are paid for');
  const { Status: status } = answer.reply;
  if (status === undefined) {
    return { topic, grade: 'good', found: 'none are kept', means: 'what prune deletes is gone and costs nothing' };
  }
  return {
    topic,
    grade: 'notice',
    found: status === 'Enabled' ? 'old versions are kept' : 'suspended; older versions may lie there',
    means: 'what prune deletes stays as a version and is paid for, until a lifecycle rule removes noncurrent versions',
  };
}

/** `undefined`: objects are not locked unless we ask for it. */
export async function readDefaultRetention(asking: Asking): Promise<string | undefined> {
  const answer = await askLock(asking);
  if ('refusal' in answer) return undefined;
  const { Mode: mode, Days: days, Years: years } = answer.reply.ObjectLockConfiguration?.Rule?.DefaultRetention ?? {};
  if (mode === undefined) return undefined;
  return `${mode.toLowerCase()}, ${days === undefined ? `${years ?? 0} years` : `${days} days`}`;
}

export async function bucketHasLock(asking: Asking): Promise<boolean> {
  const answer = await askLock(asking);
  return 'reply' in answer && answer.reply.ObjectLockConfiguration?.ObjectLockEnabled === 'Enabled';
}

const askLock = (asking: Asking) =>
  asking.ask((client) => client.send(new GetObjectLockConfigurationCommand({ Bucket: asking.bucket })));

async function lock(asking: Asking): Promise<StoreFinding> {
  const topic = 'object lock';
  const { objectLock: wanted } = asking.connection;
  const asked = wanted === undefined ? 'not asked for' : `asked for: ${wanted.mode}, ${wanted.days} days`;
  if (await bucketHasLock(asking)) {
    const byDefault = await readDefaultRetention(asking);
    return {
      topic,
      grade: wanted === undefined && byDefault === undefined ? 'notice' : 'good',
      found: `the bucket has it; ${asked}${byDefault === undefined ? '' : `; by default ${byDefault}`}`,
      means:
        wanted === undefined
          ? 'ENCLAVE_MANAGER_S3_OBJECT_LOCK=governance:30d would keep backups from being deleted by a stolen key'
          : 'no key deletes a backup before its lock ends',
    };
  }
  return {
    topic,
    grade: wanted === undefined ? 'notice' : 'bad',
    found: `the bucket has none; ${asked}`,
    means:
      wanted === undefined
        ? 'whoever may delete there can delete every backup'
        : 'nothing can be stored: make the bucket with object lock, or set ENCLAVE_MANAGER_S3_OBJECT_LOCK=off',
  };
}

async function lifecycle(asking: Asking): Promise<StoreFinding> {
  const topic = 'lifecycle rules';
  const command = new GetBucketLifecycleConfigurationCommand({ Bucket: asking.bucket });
  const answer = await asking.ask((client) => client.send(command));
  if ('refusal' in answer) {
    const { code, status } = answer.refusal;
    const none = code === 'NoSuchLifecycleConfiguration' || status === 404 || status === 501;
    return none
      ? { topic, grade: 'good', found: 'there are none', means: 'the store deletes nothing by itself' }
      : unknown(topic, answer.refusal, 'whether the store deletes objects by itself');
  }
  const harmful = (answer.reply.Rules ?? []).filter((rule) => harms(rule, asking.connection.prefix));
  if (harmful.length === 0) {
    return { topic, grade: 'good', found: 'none touches current objects here', means: 'the store deletes no backup' };
  }
  return {
    topic,
    grade: 'bad',
    found: `${harmful.map(({ ID: id }) => `"${id ?? '(no name)'}"`).join(', ')} expires or archives objects here`,
    means:
      'chunks live as long as any backup uses them: such a rule destroys backups. Remove it; backup prune does this',
  };
}

/** Removing noncurrent versions and unfinished uploads is harmless. */
function harms(rule: LifecycleRule, ours: string): boolean {
  const { Status: status, Expiration: expiration, Transitions: transitions, Filter: filter } = rule;
  const expires = expiration?.Days !== undefined || expiration?.Date !== undefined;
  const archives = (transitions ?? []).some(({ StorageClass: to }) => /GLACIER|ARCHIVE|COLD/.test(to ?? ''));
  // oxlint-disable-next-line typescript/no-deprecated -- Stores still answer with it where a rule was made that way.
  const prefix = filter?.Prefix ?? filter?.And?.Prefix ?? rule.Prefix ?? '';
  return status === 'Enabled' && (expires || archives) && (prefix.startsWith(ours) || ours.startsWith(prefix));
}

const unknown = (topic: string, refusal: Failure, what: string): StoreFinding => ({
  topic,
  grade: 'notice',
  found: `the store does not tell us (${refusalText(refusal)})`,
  means: `${what} is not known; the right to read the bucket’s settings is enough to know it`,
});
