import {
  ListObjectVersionsCommand,
  PutBucketLifecycleConfigurationCommand,
  PutBucketVersioningCommand,
  PutObjectLockConfigurationCommand,
} from '@aws-sdk/client-s3';
import { beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { z } from 'zod';
import { S3Examiner } from '#adapters/s3/s3-examiner.ts';
import { S3Store } from '#adapters/s3/s3-store.ts';
import { repositoryCheck } from '#cli/commands/repository-check.ts';
import { plainStyle } from '#cli/output/style.ts';
import { checkRepository, type RepositoryCheck } from '#operations/check-repository.ts';
import type { S3Connection } from '#ports/object-store.ts';
import { environmentFor } from '../fixtures/object-storage/environment.ts';
import { runCommand } from '../fixtures/command.ts';
import { abortedContext, makeContext, temporaryDirectory } from '../fixtures/host.ts';
import { allowRestricted, clientOf, connectionTo, freshBucket } from '../fixtures/object-storage/buckets.ts';
import { cephServer, cephUnavailable } from '../fixtures/object-storage/ceph.ts';
import { startFaultProxy, type Fault } from '../fixtures/object-storage/fault-proxy.ts';
import { lists, staleList } from '../fixtures/object-storage/faults.ts';
import { ibmCloud, ignoringConditions } from '../fixtures/object-storage/profiles.ts';

async function check(connection: S3Connection): Promise<RepositoryCheck> {
  const examiner = new S3Examiner({ ...connection, limits: { firstPauseMs: 5, attempts: 3 } });
  onTestFinished(() => examiner.close());
  return await checkRepository(makeContext(), examiner);
}

const gradesOf = ({ findings }: RepositoryCheck): Record<string, string> =>
  Object.fromEntries(findings.map(({ topic, grade }) => [topic, grade]));

const foundOf = ({ findings }: RepositoryCheck, topic: string): string | undefined =>
  findings.find((finding) => finding.topic === topic)?.found;

/** Every object, version and delete marker of the bucket. */
async function everythingIn(bucket: string): Promise<string[]> {
  const client = clientOf(await cephServer());
  const { Versions: versions = [], DeleteMarkers: markers = [] } = await client.send(
    new ListObjectVersionsCommand({ Bucket: bucket }),
  );
  return [...versions, ...markers].map(({ Key: key }) => key!);
}

async function behind(fault: Fault): Promise<S3Connection> {
  const server = await cephServer();
  const proxy = await startFaultProxy(server.endpoint);
  proxy.inject(() => true, fault, Infinity);
  return { ...(await freshBucket(server)), endpoint: proxy.endpoint };
}

beforeEach((context) => {
  if (cephUnavailable !== undefined) context.skip(cephUnavailable);
});

describe('repository check on Ceph RGW', () => {
  it('says by the command line what the store does, and leaves nothing behind', async () => {
    const connection = await freshBucket(await cephServer());
    const options = { dataDirectory: temporaryDirectory(), env: environmentFor(connection) };
    const { exitCode, stdout, stderr } = await runCommand(['repository', 'check', '--json'], options);
    expect(exitCode, stderr).toBe(0);
    const result = repositoryCheck.result(z).parse(JSON.parse(stdout)) as RepositoryCheck;
    expect(result).toMatchObject({ ok: true, leftBehind: [], location: `s3://${connection.bucket}/by/command/` });
    expect(gradesOf(result)).toEqual({
      repository: 'good',
      endpoint: 'notice',
      address: 'good',
      'right to delete': 'notice',
      versions: 'good',
      'object lock': 'notice',
      'lifecycle rules': 'good',
      'put and get': 'good',
      list: 'good',
      'write once': 'good',
      'two writers': 'good',
      clock: 'good',
      delete: 'good',
      'conditional put': 'good',
      'conditional race': 'good',
      'signed bytes': 'good',
      'Content-MD5': 'good',
      // It stores an object whose SHA-256 header is wrong.
      'SHA-256 header': 'notice',
    });
    expect(result.speed?.uploadBytesPerSecond).toBeGreaterThan(0);
    expect(await everythingIn(connection.bucket)).toEqual([]);
    expect(repositoryCheck.render(result, plainStyle)).toContain('Good for backups: s3://');
  });

  it('finds that locks hold, and removes its probes with all their versions', async () => {
    const connection = await freshBucket(await cephServer(), { ObjectLockEnabledForBucket: true });
    const result = await check({ ...connection, objectLock: { mode: 'governance', days: 30 } });
    expect(gradesOf(result)).toMatchObject({ 'object lock': 'good', 'lock holds': 'good', versions: 'notice' });
    expect(foundOf(result, 'lock holds')).toContain('AccessDenied');
    expect(await everythingIn(connection.bucket)).toEqual([]);
  });

  it('finds that a lock is asked for where the bucket has none', async () => {
    const connection = await freshBucket(await cephServer());
    const result = await check({ ...connection, objectLock: { mode: 'governance', days: 30 } });
    expect([result.ok, gradesOf(result)['object lock']]).toEqual([false, 'bad']);
  });

  it('puts nothing that would stay: without the right to delete, or where the bucket locks by default', async () => {
    const server = await cephServer();
    const { bucket } = await freshBucket(server);
    await allowRestricted(server, bucket, ['s3:ListBucket', 's3:GetObject', 's3:PutObject']);
    const restricted = await check(connectionTo(server, bucket, server.restricted));
    expect(gradesOf(restricted)).toMatchObject({ 'right to delete': 'good', probes: 'notice' });
    expect(restricted.speed).toBeNull();
    expect(await everythingIn(bucket)).toEqual([]);

    const { credentials: deleteCredentials } = connectionTo(server, bucket, server.manager);
    const separate = await check({ ...connectionTo(server, bucket, server.restricted), deleteCredentials });
    expect(gradesOf(separate)).toMatchObject({ 'right to delete': 'good', 'put and get': 'good', delete: 'good' });
    expect(await everythingIn(bucket)).toEqual([]);

    const locked = await freshBucket(server, { ObjectLockEnabledForBucket: true });
    const Rule = { DefaultRetention: { Mode: 'GOVERNANCE' as const, Days: 1 } };
    await clientOf(server).send(
      new PutObjectLockConfigurationCommand({
        Bucket: locked.bucket,
        ObjectLockConfiguration: { ObjectLockEnabled: 'Enabled', Rule },
      }),
    );
    const byDefault = await check(locked);
    expect(foundOf(byDefault, 'probes')).toContain('governance, 1 days');
    expect(await everythingIn(locked.bucket)).toEqual([]);
  });

  it('finds rules that would delete backups, and old versions', async () => {
    const server = await cephServer();
    const connection = await freshBucket(server);
    const client = clientOf(server);
    const place = { Bucket: connection.bucket };
    await client.send(new PutBucketVersioningCommand({ ...place, VersioningConfiguration: { Status: 'Enabled' } }));
    const harmless = {
      ID: 'tidy',
      Status: 'Enabled' as const,
      Filter: { Prefix: '' },
      NoncurrentVersionExpiration: { NoncurrentDays: 1 },
    };
    const harmful = {
      ID: 'save-money',
      Status: 'Enabled' as const,
      Filter: { Prefix: 'some/' },
      Expiration: { Days: 90 },
    };
    await client.send(
      new PutBucketLifecycleConfigurationCommand({ ...place, LifecycleConfiguration: { Rules: [harmless] } }),
    );
    expect(gradesOf(await check(connection))).toMatchObject({ 'lifecycle rules': 'good', versions: 'notice' });
    await client.send(
      new PutBucketLifecycleConfigurationCommand({ ...place, LifecycleConfiguration: { Rules: [harmless, harmful] } }),
    );
    const result = await check(connection);
    expect(result.ok).toBe(false);
    expect(foundOf(result, 'lifecycle rules')).toBe('"save-money" expires or archives objects here');
    expect(await everythingIn(connection.bucket)).toEqual([]);
  });

  it('knows a store that ignores conditions, and what that means', async () => {
    const server = await cephServer();
    const proxy = await startFaultProxy(server.endpoint);
    const connection = { ...(await freshBucket(server)), endpoint: proxy.endpoint };
    proxy.inject(() => true, ignoringConditions(clientOf(server), connection.bucket), Infinity);
    const result = await check(connection);
    expect(result.ok).toBe(true);
    expect(gradesOf(result)).toMatchObject({
      'conditional put': 'notice',
      'write once': 'good',
      'two writers': 'notice',
    });
    expect(foundOf(result, 'conditional put')).toBe('first: stored; second: stored');
  });

  it('knows a store that shows late what was stored, and one with the rules of IBM Cloud', async () => {
    const server = await cephServer();
    const proxy = await startFaultProxy(server.endpoint);
    const injected = proxy.inject(lists('-'), staleList, Infinity);
    expect(gradesOf(await check({ ...(await freshBucket(server)), endpoint: proxy.endpoint }))).toMatchObject({
      list: 'notice',
    });
    expect(injected.fired).toBeGreaterThan(0);
    expect(await check(await behind(ibmCloud))).toMatchObject({ ok: true, leftBehind: [] });
  });

  it('says that the clock of this host is wrong', async () => {
    const connection = await freshBucket(await cephServer());
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() - 30 * 60_000 });
    onTestFinished(() => void vi.useRealTimers());
    const begunMs = performance.now();
    const result = await check(connection);
    // This host's clock stands still meanwhile.
    const tookSeconds = Math.ceil((performance.now() - begunMs) / 1000);
    expect([result.ok, gradesOf(result)['clock']]).toEqual([false, 'bad']);
    const [, ahead] = /the store is (\d+) s ahead of this host/.exec(foundOf(result, 'clock')!)!;
    expect(Number(ahead)).toBeGreaterThanOrEqual(1799);
    expect(Number(ahead)).toBeLessThanOrEqual(1801 + tookSeconds);
  });

  it('removes its probes when it is interrupted, and another check removes what a killed one left', async () => {
    const connection = await freshBucket(await cephServer());
    const examiner = new S3Examiner(connection);
    onTestFinished(() => examiner.close());
    const { context, reason } = abortedContext({ phase: 'probing: two writers' });
    await expect(checkRepository(context, examiner)).rejects.toBe(reason);
    expect(await everythingIn(connection.bucket)).toEqual([]);

    const store = new S3Store(connection);
    onTestFinished(() => store.close());
    await store.put('check-0123456789abcdef-object', Buffer.from('left'));
    await checkRepository(makeContext(), examiner);
    expect(await everythingIn(connection.bucket)).toHaveLength(1);
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 2 * 3_600_000 });
    onTestFinished(() => void vi.useRealTimers());
    await checkRepository(makeContext(), examiner);
    expect(await everythingIn(connection.bucket)).toEqual([]);
  });

  it('tries the other style of address, where the endpoint has a name', async () => {
    const { endpoint, ...connection } = await freshBucket(await cephServer());
    const named = await check({ ...connection, endpoint: endpoint.replace('127.0.0.1', 'localhost') });
    expect(foundOf(named, 'address')).toMatch(/^path style works, virtual style (works too|does not)/);
    expect(foundOf(await check({ ...connection, endpoint }), 'address')).toBe('path style works');
  });

  it('throws what keeps it from looking at all', async () => {
    const connection = await freshBucket(await cephServer());
    await expect(check({ ...connection, bucket: 'no-such-bucket' })).rejects.toMatchObject({
      code: 'repository-unreachable',
      message: expect.stringContaining('no bucket "no-such-bucket"'),
    });
  });
});
