import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { S3Store } from '#adapters/s3/s3-store.ts';
import { createBackup } from '#operations/create-backup.ts';
import { openOrCreateCluster } from '#operations/open-cluster.ts';
import { verifyBackups } from '#operations/verify-backup.ts';
import type { ConditionalPuts, S3Connection } from '#ports/object-store.ts';
import { dumpDatabase } from '../fixtures/dump.ts';
import { makeContext, makeHost } from '../fixtures/host.ts';
import { clientOf, freshBucket } from '../fixtures/object-storage/buckets.ts';
import { cephServer, cephUnavailable } from '../fixtures/object-storage/ceph.ts';
import { startFaultProxy, type Fault } from '../fixtures/object-storage/fault-proxy.ts';
import { puts } from '../fixtures/object-storage/faults.ts';
import { ibmCloud, ignoringConditions, refusingConditions } from '../fixtures/object-storage/profiles.ts';
import { restoreInto } from '../fixtures/restoring.ts';

beforeEach((context) => {
  if (cephUnavailable !== undefined) context.skip(cephUnavailable);
});

/** A store with the given rules, in front of the real one. */
async function bench(rules: (connection: S3Connection) => Promise<Fault>) {
  const server = await cephServer();
  const connection = await freshBucket(server);
  const proxy = await startFaultProxy(server.endpoint);
  const injected = proxy.inject(() => true, await rules(connection), Infinity);
  const open = (): S3Store => {
    const store = new S3Store({ ...connection, endpoint: proxy.endpoint, limits: { firstPauseMs: 5 } });
    onTestFinished(() => store.close());
    return store;
  };
  return { open, proxy, injected };
}

const ignoring = async ({ bucket }: S3Connection): Promise<Fault> =>
  ignoringConditions(clientOf(await cephServer()), bucket);
const refusing = async (): Promise<Fault> => refusingConditions;
const ibm = async (): Promise<Fault> => ibmCloud;

describe.each([
  ['ignores conditions', ignoring, 'ignored'],
  ['refuses conditions', refusing, 'refused'],
  ['has the rules of IBM Cloud', ibm, 'honoured'],
] as const)('a store that %s', (_, rules, seen: ConditionalPuts) => {
  it('keeps the first object of a key, and is known for what it does after the first put', async () => {
    const { open, injected } = await bench(rules);
    const [store, other] = [open(), open()];
    expect(store.connection.conditionalPuts).toBeUndefined();
    expect(await store.put('key', Buffer.from('first'))).toBe('created');
    expect(store.connection.conditionalPuts).toBe(seen);
    expect(await store.put('key', Buffer.from('second'))).toBe('exists');
    expect(await other.put('key', Buffer.from('third'))).toBe('exists');
    expect(other.connection.conditionalPuts).toBeUndefined();
    expect((await other.get('key', { maxBytes: 100 }))?.toString()).toBe('first');
    expect(injected.fired).toBeGreaterThan(5);
  });

  it('serves for the whole circle', { timeout: 240_000 }, async () => {
    const { open, proxy } = await bench(rules);
    const host = await makeHost({ store: open() });
    const context = makeContext();
    const { cluster } = await openOrCreateCluster(context, host);
    onTestFinished(() => cluster.database.close());
    const before = await dumpDatabase(cluster.database);
    const { id } = await createBackup(context, cluster, { kind: 'manual' });
    const repository = { store: host.store, keyring: cluster.keyring };
    expect(await verifyBackups(context, repository, [id])).toMatchObject({ bad: [], failed: [] });
    const restored = await restoreInto(context, host);
    expect(await dumpDatabase(restored.database)).toMatchObject(before);
    const looks = proxy.requests.filter(({ method, path }) => method === 'HEAD' && path.includes('/chunks/')).length;
    const stored = proxy.requests.filter(puts('/chunks/')).length;
    expect(looks > 0).toBe(seen !== 'honoured');
    expect(stored).toBeGreaterThan(0);
  });
});
