import { beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { S3Store } from '#adapters/s3/s3-store.ts';
import type { ObjectStore } from '#ports/object-store.ts';
import { freshBucket } from '../fixtures/object-storage/buckets.ts';
import { cephServer, cephUnavailable } from '../fixtures/object-storage/ceph.ts';
import { startFaultProxy, type Fault, type FaultProxy } from '../fixtures/object-storage/fault-proxy.ts';
import {
  answer,
  cutWithFittingLength,
  cutWithoutLength,
  cutWithTrueLength,
  deletes,
  errorInside200,
  failAfter,
  flipInReply,
  flipInRequest,
  gets,
  hangUpBefore,
  heads,
  lists,
  loseReply,
  puts,
  stallInBody,
  swallowReply,
  swallowRequest,
  webPage,
} from '../fixtures/object-storage/faults.ts';

const limits = { idleMs: 800, requestMs: 20_000, attempts: 6, firstPauseMs: 5, longestPauseMs: 20 };
const body = Buffer.from('the bytes of an object, '.repeat(400));
const read = { maxBytes: 1_000_000 };

interface Bench {
  readonly proxy: FaultProxy;
  /** Reaches the store through the proxy, and knows what it does with conditions. */
  readonly store: ObjectStore;
  /** The same without the proxy. */
  readonly direct: ObjectStore;
}

async function bench(more: { readonly attempts?: number } = {}): Promise<Bench> {
  const server = await cephServer();
  const connection = await freshBucket(server);
  const proxy = await startFaultProxy(server.endpoint);
  const through = { ...connection, endpoint: proxy.endpoint, limits: { ...limits, ...more } };
  const store = new S3Store({ ...through, conditionalPuts: 'honoured' });
  const direct = new S3Store(connection);
  onTestFinished(async () => {
    await store.close();
    await direct.close();
  });
  return { proxy, store, direct };
}

async function keysOf(store: ObjectStore): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of store.list('')) keys.push(key);
  return keys;
}

beforeEach((context) => {
  if (cephUnavailable !== undefined) context.skip(cephUnavailable);
});

const once: readonly (readonly [name: string, fault: Fault])[] = [
  ['hangs up before', hangUpBefore],
  ['loses the reply', loseReply],
  ['swallows the request', swallowRequest],
  ['swallows the reply', swallowReply],
  ['answers 500', answer(500, 'InternalError')],
  ['answers 503', answer(503, 'SlowDown')],
  ['answers 429', answer(429, 'TooManyRequests')],
  ['answers 500 after doing it', failAfter],
  ['answers with a web page and 200', webPage],
];

describe('a put', () => {
  it.each([
    ...once,
    ['answers 409', answer(409, 'ConditionalRequestConflict')] as const,
    ['flips a bit of the request', flipInRequest] as const,
    ['answers with an error inside 200', errorInside200] as const,
  ])('succeeds truly when the connection once %s', async (_, fault) => {
    const { proxy, store, direct } = await bench();
    const injected = proxy.inject(puts('an/object'), fault);
    expect(await store.put('an/object', body)).toBe('created');
    expect(injected.fired).toBe(1);
    expect((await direct.get('an/object', read))?.equals(body)).toBe(true);
  });

  it('knows its own object from somebody else’s when the reply to it was lost', async () => {
    const { proxy, store, direct } = await bench();
    await direct.put('taken', Buffer.alloc(body.length, 'x'));
    const injected = proxy.inject(puts('taken'), hangUpBefore);
    expect(await store.put('taken', body)).toBe('exists');
    expect(injected.fired).toBe(1);
    expect((await direct.get('taken', read))?.toString('latin1', 0, 3)).toBe('xxx');
  });

  it.each(once)('ends with a typed error and nothing overwritten when the connection always %s', async (_, fault) => {
    const { proxy, store, direct } = await bench({ attempts: 2 });
    await direct.put('other', Buffer.from('there before'));
    const injected = proxy.inject(puts('object'), fault, Infinity);
    await expect(store.put('object', body)).rejects.toMatchObject({ code: 'repository-unreachable' });
    expect(injected.fired).toBe(2);
    const stored = await direct.get('object', read);
    expect(stored === undefined || stored.equals(body)).toBe(true);
    expect((await direct.get('other', read))?.toString()).toBe('there before');
  });
});

describe('a get', () => {
  it.each([
    ...once,
    ['cuts the body under its true length', cutWithTrueLength] as const,
    ['cuts the body under a fitting length', cutWithFittingLength] as const,
    ['cuts the body without a length', cutWithoutLength] as const,
    ['stalls in the body', stallInBody] as const,
    ['flips a bit of the reply', flipInReply] as const,
  ])('gives the true bytes when the connection once %s', async (_, fault) => {
    const { proxy, store, direct } = await bench();
    await direct.put('object', body);
    const injected = proxy.inject(gets('object'), fault);
    expect((await store.get('object', read))?.equals(body)).toBe(true);
    expect(injected.fired).toBe(1);
  });

  it.each([
    ['cuts the body under its true length', cutWithTrueLength, 'repository-unreachable'],
    ['cuts the body under a fitting length', cutWithFittingLength, 'damaged'],
    ['cuts the body without a length', cutWithoutLength, 'damaged'],
    ['flips a bit of the reply', flipInReply, 'damaged'],
    ['stalls in the body', stallInBody, 'repository-unreachable'],
    ['answers with a web page and 200', webPage, 'repository-unreachable'],
    ['answers with an error inside 200', errorInside200, 'repository-unreachable'],
    [
      'answers 404 as a web server does',
      async ({ reply }) => reply({ status: 404, headers: {}, body: Buffer.from('no') }),
      'repository-unreachable',
    ],
  ] as readonly (readonly [string, Fault, string])[])(
    'never takes wrong bytes for right ones, nor for none: the connection always %s',
    async (_, fault, code) => {
      const { proxy, store, direct } = await bench({ attempts: 2 });
      await direct.put('object', body);
      const injected = proxy.inject(gets('object'), fault, Infinity);
      await expect(store.get('object', read)).rejects.toMatchObject({ code });
      expect(injected.fired).toBeGreaterThan(0);
    },
  );
});

describe('a listing', () => {
  it.each([
    ...once,
    ['cuts the document', cutWithTrueLength] as const,
    ['cuts the document under a fitting length', cutWithFittingLength] as const,
    ['cuts the document without a length', cutWithoutLength] as const,
    ['stalls in the document', stallInBody] as const,
    ['answers with an error inside 200', errorInside200] as const,
  ])('is whole when the connection once %s', async (_, fault) => {
    const { proxy, store, direct } = await bench();
    for (const key of ['a', 'b/c', 'd']) await direct.put(key, body);
    const injected = proxy.inject(lists(''), fault);
    expect(await keysOf(store)).toEqual(['a', 'b/c', 'd']);
    expect(injected.fired).toBe(1);
  });

  it.each([
    ['a web page', webPage],
    ['an error inside 200', errorInside200],
    ['half a document', cutWithFittingLength],
    [
      'the same page again and again',
      async ({ forward, reply }) => {
        const real = await forward();
        const text = real.body
          .toString('utf8')
          .replace(
            '<IsTruncated>false</IsTruncated>',
            '<IsTruncated>true</IsTruncated><NextContinuationToken>again</NextContinuationToken>',
          );
        reply({ ...real, body: Buffer.from(text) });
      },
    ],
  ] as readonly (readonly [string, Fault])[])('is never taken for empty or endless: always %s', async (_, fault) => {
    const { proxy, store, direct } = await bench({ attempts: 2 });
    await direct.put('a', body);
    const injected = proxy.inject(lists(''), fault, Infinity);
    await expect(keysOf(store)).rejects.toMatchObject({ code: 'repository-unreachable' });
    expect(injected.fired).toBeGreaterThan(1);
  });
});

describe('a head and a delete', () => {
  it.each(once)('do what they say when the connection once %s', async (_, fault) => {
    const { proxy, store, direct } = await bench();
    await direct.put('object', body);
    const headed = proxy.inject(heads('object'), fault);
    expect(await store.head('object')).toMatchObject({ sizeBytes: body.length });
    const deleted = proxy.inject(deletes('object'), fault);
    await store.delete('object');
    expect([headed.fired, deleted.fired]).toEqual([1, 1]);
    expect(await keysOf(direct)).toEqual([]);
  });
});

describe('a clock that is wrong', () => {
  it('is corrected by the store’s, also for objects with a length of time', async () => {
    const { proxy, store, direct } = await bench();
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 25 * 60_000 });
    onTestFinished(() => void vi.useRealTimers());
    expect(await store.put('object', body)).toBe('created');
    vi.useRealTimers();
    expect(proxy.requests.filter(puts('object'))).toHaveLength(2);
    expect((await direct.get('object', read))?.equals(body)).toBe(true);
  });
});
