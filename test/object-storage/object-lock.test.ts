import { DeleteObjectCommand, GetObjectRetentionCommand, ListObjectVersionsCommand } from '@aws-sdk/client-s3';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { S3Store } from '#adapters/s3/s3-store.ts';
import { createBackup } from '#operations/create-backup.ts';
import { openOrCreateCluster } from '#operations/open-cluster.ts';
import type { S3Connection } from '#ports/object-store.ts';
import { makeContext, makeHost } from '../fixtures/host.ts';
import { clientOf, freshBucket } from '../fixtures/object-storage/buckets.ts';
import { cephServer, cephUnavailable } from '../fixtures/object-storage/ceph.ts';
import { startFaultProxy, type FaultProxy } from '../fixtures/object-storage/fault-proxy.ts';
import { answer } from '../fixtures/object-storage/faults.ts';
import { ibmCloud } from '../fixtures/object-storage/profiles.ts';
import type { StorageServer } from '../fixtures/object-storage/storage-server.ts';

const dayMs = 86_400_000;

interface Bench {
  readonly server: StorageServer;
  readonly connection: S3Connection;
  readonly proxy: FaultProxy;
  open(days?: number): S3Store;
}

async function bench(): Promise<Bench> {
  const server = await cephServer();
  const proxy = await startFaultProxy(server.endpoint);
  const connection = {
    ...(await freshBucket(server, { ObjectLockEnabledForBucket: true })),
    endpoint: proxy.endpoint,
    limits: { attempts: 3, firstPauseMs: 5 },
  };
  const open = (days = 10): S3Store => {
    const store = new S3Store({ ...connection, objectLock: { mode: 'governance', days } });
    onTestFinished(() => store.close());
    return store;
  };
  return { server, connection, proxy, open };
}

/** When the lock of an object ends, in days from now. */
async function lockedDays({ server, connection }: Bench, key: string): Promise<number> {
  const place = { Bucket: connection.bucket, Key: connection.prefix + key };
  const { Retention: retention } = await clientOf(server).send(new GetObjectRetentionCommand(place));
  expect(retention?.Mode).toBe('GOVERNANCE');
  return (retention!.RetainUntilDate!.getTime() - Date.now()) / dayMs;
}

beforeEach((context) => {
  if (cephUnavailable !== undefined) context.skip(cephUnavailable);
});

describe('with object lock', () => {
  it('an object cannot be removed before its time, and its lock can be extended', async () => {
    const ready = await bench();
    const store = ready.open(10);
    expect(await store.put('object', Buffer.from('bytes'))).toBe('created');
    expect(ready.proxy.requests.at(-1)!.headers['content-md5']).toBeDefined();
    expect(await lockedDays(ready, 'object')).toBeCloseTo(10, 1);
    const { bucket, prefix } = ready.connection;
    const client = clientOf(ready.server);
    const { Versions: versions = [] } = await client.send(new ListObjectVersionsCommand({ Bucket: bucket }));
    const remove = new DeleteObjectCommand({
      Bucket: bucket,
      Key: `${prefix}object`,
      VersionId: versions[0]!.VersionId,
    });
    await expect(client.send(remove)).rejects.toMatchObject({ name: 'AccessDenied' });
    expect(await ready.open(20).retain('object')).toBe(true);
    expect(await lockedDays(ready, 'object')).toBeCloseTo(20, 1);
    expect(await store.retain('absent')).toBe(false);
  });

  it('a bucket without it is a wrong setting, not a store that does not answer', async () => {
    const connection = await freshBucket(await cephServer());
    const store = new S3Store({ ...connection, objectLock: { mode: 'compliance', days: 1 } });
    onTestFinished(() => store.close());
    await expect(store.put('object', Buffer.from('bytes'))).rejects.toMatchObject({
      code: 'configuration',
      exitCode: 10,
      hint: expect.stringContaining('ENCLAVE_MANAGER_S3_OBJECT_LOCK=off'),
    });
  });

  it('a backup locks anew what it uses again, on a store with the rules of IBM Cloud too', async () => {
    const ready = await bench();
    ready.proxy.inject(() => true, ibmCloud, Infinity);
    const host = await makeHost({ store: ready.open(10) });
    const context = makeContext();
    const { cluster } = await openOrCreateCluster(context, host);
    onTestFinished(() => cluster.database.close());
    const first = await createBackup(context, cluster, { kind: 'manual' });
    const chunk = ready.proxy.requests.find(({ method, path }) => method === 'PUT' && path.includes('/chunks/'))!;
    const key = chunk.path.slice(chunk.path.indexOf('chunks/'));
    expect(await lockedDays(ready, key)).toBeCloseTo(10, 1);
    const second = await createBackup(context, { ...cluster, store: ready.open(30) }, { kind: 'manual' });
    expect(second).toMatchObject({ newChunks: 0, totalChunks: first.totalChunks });
    expect(await lockedDays(ready, key)).toBeCloseTo(30, 1);
    expect(await lockedDays(ready, 'enclave-manager.json')).toBeCloseTo(30, 1);
    expect(await lockedDays(ready, `backups/${second.id}.json`)).toBeCloseTo(30, 1);
  });

  it('a chunk whose lock the store does not extend is stored anew', async () => {
    const ready = await bench();
    const host = await makeHost({ store: ready.open(10) });
    const context = makeContext();
    const { cluster } = await openOrCreateCluster(context, host);
    onTestFinished(() => cluster.database.close());
    const first = await createBackup(context, cluster, { kind: 'manual' });
    let refused = '';
    const injected = ready.proxy.inject(
      ({ path, query }) => {
        if (!query.has('retention') || !path.includes('/chunks/')) return false;
        refused ||= path;
        return path === refused;
      },
      answer(403, 'AccessDenied'),
      Infinity,
    );
    const second = await createBackup(context, cluster, { kind: 'manual' });
    expect(injected.fired).toBe(1);
    expect(second).toMatchObject({ sequence: 2, newChunks: 1, totalChunks: first.totalChunks });
    expect(context.notes).toEqual([expect.stringMatching(/^repaired: .* is not retained/)]);
  });

  it('a store that extends no lock at all gets a backup of new chunks; one that errs gets none', async () => {
    const ready = await bench();
    const host = await makeHost({ store: ready.open(10) });
    const context = makeContext();
    const { cluster } = await openOrCreateCluster(context, host);
    onTestFinished(() => cluster.database.close());
    const first = await createBackup(context, cluster, { kind: 'manual' });
    const matches = ({ query }: { query: URLSearchParams }): boolean => query.has('retention');
    ready.proxy.inject(matches, answer(403, 'AccessDenied'), Infinity);
    const second = await createBackup(context, cluster, { kind: 'manual' });
    expect(second).toMatchObject({ newChunks: first.totalChunks });
    ready.proxy.heal();
    const failing = ready.proxy.inject(matches, answer(500, 'InternalError'), Infinity);
    await expect(createBackup(context, cluster, { kind: 'manual' })).rejects.toMatchObject({
      code: 'repository-unreachable',
    });
    expect(failing.fired).toBeGreaterThanOrEqual(3);
  });
});
