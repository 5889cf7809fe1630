/** Run by `npm run test:stores`, with `VERSITYGW` or `MINIO` naming the program. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { S3Examiner } from '#adapters/s3/s3-examiner.ts';
import { S3Store } from '#adapters/s3/s3-store.ts';
import { checkRepository } from '#operations/check-repository.ts';
import { createBackup } from '#operations/create-backup.ts';
import { openOrCreateCluster } from '#operations/open-cluster.ts';
import { objectStoreContract } from '#ports/object-store.contract.ts';
import { dumpDatabase } from '../fixtures/dump.ts';
import { makeContext, makeHost } from '../fixtures/host.ts';
import { freshBucket } from '../fixtures/object-storage/buckets.ts';
import { startMinio, startVersitygw } from '../fixtures/object-storage/other-server.ts';
import { restoreInto } from '../fixtures/restoring.ts';

const { VERSITYGW: versitygw, MINIO: minio } = process.env;
const stores = [
  ...(versitygw === undefined ? [] : [['versitygw', versitygw, startVersitygw] as const]),
  ...(minio === undefined ? [] : [['MinIO', minio, startMinio] as const]),
];

it('has a store to run on: VERSITYGW or MINIO names a program', () => {
  expect(stores.length).toBeGreaterThan(0);
});

describe.each(stores)('%s', (name, program, start) => {
  let directory: string;
  let server: Awaited<ReturnType<typeof start>>;

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'em-store-'));
    server = await start(program, directory);
  });

  afterAll(async () => {
    await server.stop();
    rmSync(directory, { recursive: true, force: true });
  });

  objectStoreContract(`S3Store on ${name}`, async () => {
    const connection = await freshBucket(server);
    return { open: () => new S3Store(connection), remove: async () => {} };
  });

  it('brings a backup back', async () => {
    const store = new S3Store(await freshBucket(server));
    onTestFinished(() => store.close());
    const host = await makeHost({ store });
    const context = makeContext();
    const { cluster } = await openOrCreateCluster(context, host);
    onTestFinished(() => cluster.database.close());
    const before = await dumpDatabase(cluster.database);
    await createBackup(context, cluster, { kind: 'manual' });
    const restored = await restoreInto(context, host);
    expect(await dumpDatabase(restored.database)).toMatchObject(before);
  });

  it('locks objects, extends locks, and passes its check, leaving nothing behind', async () => {
    const connection = await freshBucket(server, { ObjectLockEnabledForBucket: true });
    const examiner = new S3Examiner(connection);
    onTestFinished(() => examiner.close());
    const result = await checkRepository(makeContext(), examiner);
    expect(result, JSON.stringify(result.findings, null, 1)).toMatchObject({ ok: true, leftBehind: [] });
    expect(result.findings).toContainEqual(expect.objectContaining({ topic: 'lock holds', grade: 'good' }));
    const store = new S3Store({ ...connection, objectLock: { mode: 'governance', days: 1 } });
    onTestFinished(() => store.close());
    expect(await store.put('object', Buffer.from('bytes'))).toBe('created');
    expect([await store.retain('object'), await store.retain('absent')]).toEqual([true, false]);
  });

  const mistakes: readonly (readonly [what: string, wrong: Record<string, string>, message: string])[] = [
    ['the bucket', { bucket: 'no-such-bucket' }, 'there is no bucket'],
    ['the access key', { accessKeyId: 'WRONG' }, 'the access key WRON… is not known'],
    ['the secret', { secretAccessKey: 'wrong' }, 'the secret does not fit'],
  ];
  // MinIO serves every region.
  const regions: typeof mistakes = [
    ['the region', { region: 'eu-nowhere-1' }, 'does not take the region eu-nowhere-1'],
  ];

  it.each(name === 'MinIO' ? mistakes : [...mistakes, ...regions])(
    'says what is wrong: %s',
    async (_, wrong, message) => {
      const connection = await freshBucket(server);
      const { accessKeyId, secretAccessKey } = { ...server.manager, ...wrong };
      const credentials = { accessKeyId: { value: accessKeyId }, secretAccessKey: { value: secretAccessKey } };
      const place = { bucket: wrong['bucket'] ?? connection.bucket, region: wrong['region'] ?? connection.region };
      const store = new S3Store({ ...connection, ...place, credentials });
      onTestFinished(() => store.close());
      await expect(store.get('key', { maxBytes: 10 })).rejects.toMatchObject({
        code: 'repository-unreachable',
        message: expect.stringContaining(message),
      });
    },
  );
});
