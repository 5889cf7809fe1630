import { beforeEach } from 'vitest';
import { S3Store } from '#adapters/s3/s3-store.ts';
import { objectStoreContract } from '#ports/object-store.contract.ts';
import { freshBucket } from '../fixtures/object-storage/buckets.ts';
import { cephServer, cephUnavailable } from '../fixtures/object-storage/ceph.ts';

beforeEach((context) => {
  if (cephUnavailable !== undefined) context.skip(cephUnavailable);
});

objectStoreContract('S3Store on Ceph RGW', async () => {
  const connection = await freshBucket(await cephServer());
  return { open: () => new S3Store(connection), remove: async () => {} };
});
