import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { S3Store } from '#adapters/s3/s3-store.ts';
import type { S3Connection } from '#ports/object-store.ts';
import { temporaryDirectory } from '../fixtures/host.ts';
import { allowRestricted, connectionTo, freshBucket } from '../fixtures/object-storage/buckets.ts';
import { cephServer, cephUnavailable } from '../fixtures/object-storage/ceph.ts';
import { makeCertificate } from '../fixtures/object-storage/certificate.ts';
import { startFaultProxy, type Fault } from '../fixtures/object-storage/fault-proxy.ts';
import { answer } from '../fixtures/object-storage/faults.ts';
import { startForwardProxy } from '../fixtures/object-storage/forward-proxy.ts';

const limits = { attempts: 2, firstPauseMs: 5, longestPauseMs: 20 };
const body = Buffer.from('bytes');
const read = { maxBytes: 1000 };

beforeEach((context) => {
  if (cephUnavailable !== undefined) context.skip(cephUnavailable);
});

function open(connection: S3Connection): S3Store {
  const store = new S3Store({ ...connection, limits: { ...limits, ...connection.limits } });
  onTestFinished(() => store.close());
  return store;
}

async function keysOf(store: S3Store): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of store.list('')) keys.push(key);
  return keys;
}

/** Every operation meets the same mistake, and each must say the same of it. */
async function expectRefusals(connection: S3Connection, message: RegExp, hint: RegExp): Promise<void> {
  const expected = {
    code: 'repository-unreachable',
    exitCode: 11,
    message: expect.stringMatching(message),
    hint: expect.stringMatching(hint),
  };
  for (const attempt of [
    (store: S3Store) => store.get('some/key', read),
    (store: S3Store) => store.put('some/key', body),
    (store: S3Store) => keysOf(store),
    (store: S3Store) => store.head('some/key'),
  ]) {
    await expect(attempt(open(connection))).rejects.toMatchObject(expected);
  }
}

describe('a wrong setting is named, with what was seen', () => {
  it('the bucket', async () => {
    const connection = await freshBucket(await cephServer());
    await expectRefusals(
      { ...connection, bucket: 'no-such-bucket' },
      /no bucket "no-such-bucket".*NoSuchBucket/,
      /ENCLAVE_MANAGER_REPOSITORY/,
    );
  });

  it('the access key', async () => {
    const connection = await freshBucket(await cephServer());
    const credentials = { ...connection.credentials, accessKeyId: { value: 'WRONGKEY' } };
    await expectRefusals(
      { ...connection, credentials },
      /access key WRON… .*(InvalidAccessKeyId|status 403)/,
      /AWS_ACCESS_KEY_ID|permissions/,
    );
  });

  it('the secret', async () => {
    const connection = await freshBucket(await cephServer());
    const credentials = { ...connection.credentials, secretAccessKey: { value: 'wrong-secret-of-tests' } };
    const store = open({ ...connection, credentials });
    const refused = store.get('key', read);
    await expect(refused).rejects.toMatchObject({
      code: 'repository-unreachable',
      message: expect.stringMatching(/the secret does not fit the access key MANA….*SignatureDoesNotMatch/),
      hint: expect.stringContaining('AWS_SECRET_ACCESS_KEY'),
    });
    await expect(refused).rejects.not.toMatchObject({ message: expect.stringContaining('wrong-secret-of-tests') });
    await expect(keysOf(store)).rejects.toMatchObject({ message: expect.stringContaining('the secret does not fit') });
  });

  it('the endpoint, where nothing answers, where no host is, where TLS is spoken to plain HTTP', async () => {
    const connection = await freshBucket(await cephServer());
    await expectRefusals(
      { ...connection, endpoint: 'http://127.0.0.1:9' },
      /nothing answers at http:\/\/127.0.0.1:9.*ECONNREFUSED, 2 times|ECONNREFUSED/,
      /ENCLAVE_MANAGER_S3_ENDPOINT/,
    );
    await expectRefusals(
      { ...connection, endpoint: 'http://no-such-host.invalid' },
      /no-such-host.invalid of the endpoint is not known/,
      /ENCLAVE_MANAGER_S3_ENDPOINT/,
    );
    await expectRefusals(
      { ...connection, endpoint: connection.endpoint.replace('http:', 'https:') },
      /does not speak TLS/,
      /=http:/,
    );
  });

  it.each([
    [answer(400, 'AuthorizationHeaderMalformed'), /does not take the region us-east-1/],
    [
      async ({ reply }) =>
        reply({ status: 301, headers: { 'x-amz-bucket-region': 'eu-central-1' }, body: Buffer.alloc(0) }),
      /region us-east-1; it says eu-central-1/,
    ],
  ] as readonly (readonly [Fault, RegExp])[])('the region', async (fault, message) => {
    const server = await cephServer();
    const proxy = await startFaultProxy(server.endpoint);
    const injected = proxy.inject(({ method }) => method !== 'HEAD', fault, Infinity);
    const connection = { ...(await freshBucket(server)), endpoint: proxy.endpoint };
    await expect(open(connection).get('key', read)).rejects.toMatchObject({
      code: 'repository-unreachable',
      message: expect.stringMatching(message),
      hint: expect.stringContaining('ENCLAVE_MANAGER_S3_REGION'),
    });
    expect(injected.fired).toBe(1);
  });

  it('the clock, when the store insists', async () => {
    const server = await cephServer();
    const proxy = await startFaultProxy(server.endpoint);
    const injected = proxy.inject(() => true, answer(403, 'RequestTimeTooSkewed'), Infinity);
    const connection = { ...(await freshBucket(server)), endpoint: proxy.endpoint };
    await expect(open(connection).get('key', read)).rejects.toMatchObject({
      code: 'repository-unreachable',
      message: expect.stringMatching(/the clock of this host is wrong: it says \d{4}-.*Z, the store/),
      hint: expect.stringContaining('NTP'),
    });
    expect(injected.fired).toBeGreaterThan(0);
  });

  it('the session token', async () => {
    const server = await cephServer();
    const proxy = await startFaultProxy(server.endpoint);
    proxy.inject(() => true, answer(400, 'ExpiredToken'), Infinity);
    const connection = { ...(await freshBucket(server)), endpoint: proxy.endpoint };
    const credentials = { ...connection.credentials, sessionToken: { value: 'a-session-token' } };
    await expect(open({ ...connection, credentials }).get('key', read)).rejects.toMatchObject({
      message: expect.stringContaining('the session token is wrong or has expired'),
      hint: expect.stringContaining('AWS_SESSION_TOKEN'),
    });
    expect(proxy.requests[0]?.headers['x-amz-security-token']).toBe('a-session-token');
  });

  it('a store without space', async () => {
    const server = await cephServer();
    const proxy = await startFaultProxy(server.endpoint);
    const injected = proxy.inject(({ method }) => method === 'PUT', answer(403, 'QuotaExceeded'), Infinity);
    const connection = { ...(await freshBucket(server)), endpoint: proxy.endpoint };
    await expect(open(connection).put('key', body)).rejects.toMatchObject({ code: 'no-space', exitCode: 16 });
    expect(injected.fired).toBe(1);
  });
});

describe('TLS and proxies', () => {
  it('trusts an authority of its own when told so, and says what is wrong otherwise', async () => {
    const server = await cephServer();
    const certificate = makeCertificate(temporaryDirectory());
    const proxy = await startFaultProxy(server.endpoint, certificate);
    const connection = { ...(await freshBucket(server)), endpoint: proxy.endpoint };
    await expectRefusals(
      connection,
      /certificate at https:.* is not trusted.*DEPTH_ZERO_SELF_SIGNED_CERT/,
      /ENCLAVE_MANAGER_S3_CA_FILE/,
    );
    const trusting = open({ ...connection, caFile: certificate.file });
    expect(await trusting.put('key', body)).toBe('created');
    expect((await trusting.get('key', read))?.equals(body)).toBe(true);
    const other = makeCertificate(temporaryDirectory(), 'DNS:other.example');
    const misnamed = await startFaultProxy(server.endpoint, other);
    await expectRefusals(
      { ...connection, endpoint: misnamed.endpoint, caFile: other.file },
      /is for another host.*ERR_TLS_CERT_ALTNAME_INVALID/,
      /ENCLAVE_MANAGER_S3_ENDPOINT/,
    );
  });

  it('refuses a CA file that is none', async () => {
    const connection = await freshBucket(await cephServer());
    const file = join(temporaryDirectory(), 'ca.pem');
    for (const text of [
      undefined,
      'no certificate',
      '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n',
    ]) {
      if (text !== undefined) writeFileSync(file, text);
      expect(() => open({ ...connection, caFile: file })).toThrow(
        expect.objectContaining({
          code: 'configuration',
          message: expect.stringContaining(`ENCLAVE_MANAGER_S3_CA_FILE=${file}`),
        }) as Error,
      );
    }
  });

  it('goes through an HTTP proxy, with and without TLS', async () => {
    const server = await cephServer();
    const certificate = makeCertificate(temporaryDirectory());
    const tls = await startFaultProxy(server.endpoint, certificate);
    const forward = await startForwardProxy();
    const connection = await freshBucket(server);
    const plain = open({ ...connection, proxy: forward.url });
    expect(await plain.put('one', body)).toBe('created');
    const secure = open({ ...connection, endpoint: tls.endpoint, caFile: certificate.file, proxy: forward.url });
    expect((await secure.get('one', read))?.equals(body)).toBe(true);
    expect(forward.passed).toEqual(
      expect.arrayContaining([
        expect.stringMatching(/^PUT http:\/\/127\.0\.0\.1:\d+\/.*one.* user$/),
        expect.stringMatching(/^CONNECT 127\.0\.0\.1:\d+ user$/),
      ]),
    );
  });

  it('addresses a bucket as a host when told so', async () => {
    const server = await cephServer();
    const forward = await startForwardProxy();
    const connection = await freshBucket(server);
    const endpoint = connection.endpoint.replace('127.0.0.1', 'storage.invalid');
    await open({ ...connection, endpoint, addressing: 'virtual', proxy: forward.url })
      .head('key')
      .catch(() => {});
    expect(forward.passed[0]).toMatch(
      new RegExp(`^HEAD http://${connection.bucket}\\.storage\\.invalid:\\d+/some/where/key`),
    );
  });
});

describe('an access key with fewer rights', () => {
  it('stores, reads and lists without the right to delete, and is told when it deletes', async () => {
    const server = await cephServer();
    const { bucket } = await freshBucket(server);
    await allowRestricted(server, bucket, ['s3:ListBucket', 's3:GetObject', 's3:PutObject']);
    const store = open(connectionTo(server, bucket, server.restricted));
    expect(await store.put('key', body)).toBe('created');
    expect(await store.put('key', Buffer.from('other'))).toBe('exists');
    expect(await keysOf(store)).toEqual(['key']);
    await expect(store.delete('key')).rejects.toMatchObject({
      code: 'repository-unreachable',
      message: expect.stringMatching(
        /the access key REST… may not delete in the bucket ".*" \(AccessDenied, status 403/,
      ),
    });
    expect((await store.get('key', read))?.equals(body)).toBe(true);
  });

  it('deletes with credentials of their own for that', async () => {
    const server = await cephServer();
    const { bucket } = await freshBucket(server);
    await allowRestricted(server, bucket, ['s3:ListBucket', 's3:GetObject', 's3:PutObject']);
    const { credentials: deleteCredentials } = connectionTo(server, bucket, server.manager);
    const store = open({ ...connectionTo(server, bucket, server.restricted), deleteCredentials });
    await store.put('key', body);
    await store.delete('key');
    expect(await keysOf(store)).toEqual([]);
  });

  it('is told what it may not do', async () => {
    const server = await cephServer();
    const { bucket } = await freshBucket(server);
    await allowRestricted(server, bucket, ['s3:ListBucket']);
    const store = open(connectionTo(server, bucket, server.restricted));
    await expect(store.put('key', body)).rejects.toMatchObject({ message: expect.stringContaining('may not put') });
  });
});

describe('credentials in files', () => {
  it('are read again when they change, tried first, and kept while the new ones do not work', async () => {
    const server = await cephServer();
    const { bucket } = await freshBucket(server);
    await allowRestricted(server, bucket, ['s3:ListBucket', 's3:GetObject', 's3:PutObject']);
    const proxy = await startFaultProxy(server.endpoint);
    const directory = temporaryDirectory();
    const [idFile, secretFile] = [join(directory, 'id'), join(directory, 'secret')];
    writeFileSync(idFile, `${server.manager.accessKeyId}\n`);
    writeFileSync(secretFile, `${server.manager.secretAccessKey}\n`);
    const store = open({
      ...connectionTo({ ...server, endpoint: proxy.endpoint }, bucket, server.manager),
      credentials: { accessKeyId: { file: idFile }, secretAccessKey: { file: secretFile } },
      limits: { credentialsLookMs: 0 },
    });
    const usedLast = (): string | undefined =>
      /Credential=(\w+)\//.exec(proxy.requests.at(-1)?.headers.authorization ?? '')?.[1];
    await store.put('one', body);
    expect(usedLast()).toBe(server.manager.accessKeyId);
    writeFileSync(idFile, `${server.restricted.accessKeyId}\n`);
    await store.put('two', body);
    expect(usedLast()).toBe(server.manager.accessKeyId);
    expect(proxy.requests.some(({ headers }) => headers.authorization?.includes(server.restricted.accessKeyId))).toBe(
      true,
    );
    writeFileSync(secretFile, server.restricted.secretAccessKey);
    await store.put('three', body);
    expect(usedLast()).toBe(server.restricted.accessKeyId);
    expect(await keysOf(store)).toEqual(['one', 'three', 'two']);
  });

  it('are looked at when the store refuses the old ones', async () => {
    const server = await cephServer();
    const connection = await freshBucket(server);
    const secretFile = join(temporaryDirectory(), 'secret');
    writeFileSync(secretFile, 'not-the-secret');
    const store = open({
      ...connection,
      credentials: { ...connection.credentials, secretAccessKey: { file: secretFile } },
      limits: { credentialsLookMs: 3_600_000 },
    });
    await expect(store.put('one', body)).rejects.toMatchObject({
      message: expect.stringMatching(/secret does not fit|may not/),
    });
    writeFileSync(secretFile, server.manager.secretAccessKey);
    expect(await store.put('one', body)).toBe('created');
  });

  it('must be readable at the start', async () => {
    const connection = await freshBucket(await cephServer());
    const credentials = { ...connection.credentials, secretAccessKey: { file: '/no/such/file' } };
    expect(() => open({ ...connection, credentials })).toThrow(
      expect.objectContaining({
        code: 'configuration',
        message: expect.stringContaining('/no/such/file cannot be read: ENOENT'),
      }) as Error,
    );
  });
});

it('a clock that is wrong does not matter where the store says its time', async () => {
  const connection = await freshBucket(await cephServer());
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() - 40 * 60_000 });
  onTestFinished(() => void vi.useRealTimers());
  const store = open(connection);
  expect(await store.put('key', body)).toBe('created');
  expect(await keysOf(store)).toEqual(['key']);
});
