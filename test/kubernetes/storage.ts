import { randomBytes } from 'node:crypto';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CreateBucketCommand, GetObjectCommand, paginateListObjectsV2, type S3Client } from '@aws-sdk/client-s3';
import { clientOf } from '../fixtures/object-storage/buckets.ts';
import { startCephCluster } from '../fixtures/object-storage/ceph-cluster.ts';
import type { StorageAccount, StorageServer } from '../fixtures/object-storage/storage-server.ts';
import type { Options } from './options.ts';

/** The S3 server of the story, seen from outside the cluster. */
export interface Storage {
  readonly endpoint: string;
  readonly account: StorageAccount;
  /** Another key for the same buckets. A server that is not ours cannot be told to refuse the one before. */
  replaceKey(): Promise<{ readonly account: StorageAccount; readonly refuseOld?: () => Promise<void> }>;
  createBucket(name: string): Promise<void>;
  /** Keys of every object below a prefix. */
  list(bucket: string, prefix: string): Promise<string[]>;
  read(bucket: string, key: string): Promise<string>;
  stop(): Promise<void>;
}

export async function openStorage({ storageAddress, s3Endpoint }: Options): Promise<Storage> {
  if (storageAddress === undefined) return ofOthers(s3Endpoint!);
  const ceph = await startCephCluster(mkdtempSync(join(tmpdir(), 'em-ceph-')), storageAddress);
  const { useKey, ...bucket } = reading(ceph);
  return {
    ...bucket,
    endpoint: ceph.endpoint,
    account: ceph.manager,
    replaceKey: async () => {
      const account = {
        user: ceph.manager.user,
        accessKeyId: `K${randomBytes(9).toString('hex').toUpperCase()}`,
        secretAccessKey: randomBytes(20).toString('hex'),
      };
      await ceph.addKey(account);
      useKey(account);
      return { account, refuseOld: () => ceph.removeKey(ceph.manager) };
    },
    stop: () => ceph.stop(),
  };
}

/** Takes two keys for the same buckets from the environment. */
function ofOthers(endpoint: string): Storage {
  const keyFrom = (ending: string): StorageAccount => {
    const [accessKeyId, secretAccessKey] = ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY'].map((name) => {
      const value = process.env[`${name}${ending}`];
      if (value === undefined) throw new Error(`with --s3-endpoint, ${name}${ending} has to be in the environment`);
      return value;
    });
    return { user: 'given', accessKeyId: accessKeyId!, secretAccessKey: secretAccessKey! };
  };
  const account = keyFrom('');
  const server = { name: 'given', endpoint, manager: account, restricted: account };
  const second = keyFrom('_2');
  const { useKey, ...bucket } = reading(server);
  return {
    ...bucket,
    endpoint,
    account,
    replaceKey: () => {
      useKey(second);
      return Promise.resolve({ account: second });
    },
    stop: () => Promise.resolve(),
  };
}

function reading(
  server: StorageServer,
): Pick<Storage, 'createBucket' | 'list' | 'read'> & { useKey(account: StorageAccount): void } {
  let client: S3Client = clientOf(server);
  return {
    useKey: (account) => {
      client = clientOf({ ...server, manager: account });
    },
    createBucket: async (name) => {
      await client.send(new CreateBucketCommand({ Bucket: name }));
    },
    list: async (bucket, prefix) => {
      const keys: string[] = [];
      for await (const { Contents } of paginateListObjectsV2({ client }, { Bucket: bucket, Prefix: prefix }))
        keys.push(...(Contents ?? []).map(({ Key }) => Key ?? ''));
      return keys;
    },
    read: async (bucket, key) => {
      const { Body } = await client.send(new GetObjectCommand({ Bucket: bucket, Key: key }));
      return (await Body?.transformToString()) ?? '';
    },
  };
}
