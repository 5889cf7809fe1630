/** What every `ObjectStore` must do; each adapter's tests run it against the real thing. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import type { ObjectStore, StoredObject } from './object-store.ts';

export interface ObjectStoreUnderTest {
  /** Another client of the same, initially empty, store: as another process would have it. */
  open(): ObjectStore;
  remove(): Promise<void>;
}

async function keysOf(objects: AsyncIterable<StoredObject>): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of objects) keys.push(key);
  return keys;
}

const limit = { maxBytes: 8 * 1024 * 1024 };
const badKeys = [
  '',
  '/a',
  'a/',
  'a//b',
  '.',
  '..',
  'a/../b',
  '../a',
  './a',
  '.hidden',
  'a/.b',
  'a\\b',
  'a b',
  'ä',
  'a\0',
  'a'.repeat(501),
];

export function objectStoreContract(name: string, makeStore: () => Promise<ObjectStoreUnderTest>): void {
  describe(`${name} keeps the object store contract`, () => {
    let place: ObjectStoreUnderTest;
    let store: ObjectStore;

    beforeEach(async () => {
      place = await makeStore();
      store = place.open();
    });

    afterEach(async () => {
      await store.close();
      await place.remove();
    });

    reading(() => store);
    versions(() => store);
    writing(() => ({ store, other: place.open() }));
    listing(() => store);
    refusing(() => store);
  });
}

function reading(current: () => ObjectStore): void {
  it('answers undefined for what is not there, also in directories that are not there', async () => {
    expect(await current().get('absent', limit)).toBeUndefined();
    expect(await current().get('no/such/place', limit)).toBeUndefined();
    expect(await current().head('no/such/place')).toBeUndefined();
  });

  it.each([0, 1, 4095, 4096, 1_572_864, 5_000_001])(
    'gives back an object of %i bytes as it was put',
    async (length) => {
      const body = Buffer.from(Array.from({ length: 251 }, (_, index) => index));
      const bytes = Buffer.alloc(length, body);
      expect(await current().put('chunks/ab/object', bytes)).toBe('created');
      const stored = await current().get('chunks/ab/object', limit);
      expect(stored?.equals(bytes)).toBe(true);
      expect(await current().head('chunks/ab/object')).toMatchObject({ key: 'chunks/ab/object', sizeBytes: length });
    },
  );

  it('refuses to read more than the limit, and reads exactly the limit', async () => {
    await current().put('object', Buffer.alloc(1000));
    await expect(current().get('object', { maxBytes: 999 })).rejects.toMatchObject({ code: 'damaged' });
    expect(await current().get('object', { maxBytes: 1000 })).toHaveLength(1000);
  });

  it('stamps objects by its own clock, which does not run backwards between two puts', async () => {
    await current().put('first', Buffer.from('1'));
    await current().put('second', Buffer.from('2'));
    const first = await current().head('first');
    const second = await current().head('second');
    expect(first?.modifiedAt.getTime()).toBeGreaterThan(0);
    expect(second!.modifiedAt.getTime()).toBeGreaterThanOrEqual(first!.modifiedAt.getTime());
  });
}

function versions(current: () => ObjectStore): void {
  it('lists one version of an object until other bytes lie there', async () => {
    const version = async (): Promise<string | undefined> => {
      for await (const object of current().list('backups/')) return object.version;
      return undefined;
    };
    await current().put('backups/one.json', Buffer.from('1'));
    const first = await version();
    expect(first).toMatch(/./);
    expect(await version()).toBe(first);
    await current().delete('backups/one.json');
    await current().put('backups/one.json', Buffer.from('2'));
    expect(await version()).not.toBe(first);
  });
}

function writing(current: () => { store: ObjectStore; other: ObjectStore }): void {
  it('never overwrites: the second put says exists and leaves the first bytes', async () => {
    const { store, other } = current();
    expect(await store.put('backups/one.json', Buffer.from('first'))).toBe('created');
    expect(await store.put('backups/one.json', Buffer.from('second, longer'))).toBe('exists');
    expect(await other.put('backups/one.json', Buffer.from(''))).toBe('exists');
    expect((await other.get('backups/one.json', limit))?.toString()).toBe('first');
  });

  it('lets exactly one of many concurrent writers of a key create it, and keeps that one whole', async () => {
    const { store, other } = current();
    const bodies = Array.from({ length: 12 }, (_, index) => Buffer.alloc(200_000, index + 1));
    const outcomes = await Promise.all(
      bodies.map((body, index) => (index % 2 ? store : other).put('keyring/members/1.json', body)),
    );
    expect(outcomes.filter((outcome) => outcome === 'created')).toHaveLength(1);
    const stored = await store.get('keyring/members/1.json', limit);
    expect(stored?.equals(bodies[outcomes.indexOf('created')]!)).toBe(true);
  });

  it('shows an object to every client as soon as put has resolved', async () => {
    const { store, other } = current();
    await store.put('chunks/00/x', Buffer.from('x'));
    expect((await other.get('chunks/00/x', limit))?.toString()).toBe('x');
    expect(await keysOf(other.list('chunks/'))).toEqual(['chunks/00/x']);
  });

  it('keeps its own copy of what it was given', async () => {
    const { store } = current();
    const body = Buffer.from('before');
    await store.put('object', body);
    body.write('after!');
    expect((await store.get('object', limit))?.toString()).toBe('before');
  });

  it('retains what was just put', async () => {
    const { store } = current();
    await store.put('chunks/00/x', Buffer.from('x'));
    expect(await store.retain('chunks/00/x')).toBe(true);
  });

  it('deletes, and deletes again what is gone; the key is free afterwards', async () => {
    const { store, other } = current();
    await store.put('chunks/00/x', Buffer.from('old'));
    await store.delete('chunks/00/x');
    await other.delete('chunks/00/x');
    await store.delete('never/was/there');
    expect(await other.get('chunks/00/x', limit)).toBeUndefined();
    expect(await keysOf(store.list(''))).toEqual([]);
    expect(await other.put('chunks/00/x', Buffer.from('new'))).toBe('created');
    expect((await store.get('chunks/00/x', limit))?.toString()).toBe('new');
  });
}

function listing(current: () => ObjectStore): void {
  it('lists nothing in an empty store', async () => {
    expect(await keysOf(current().list(''))).toEqual([]);
    expect(await keysOf(current().list('chunks/'))).toEqual([]);
  });

  it('lists in byte order of the whole key, whatever the depth', async () => {
    const keys = ['a', 'a-b', 'a.b', 'a0/x', 'b/c', 'b/c-d/e', 'b/c.d', 'b/cd/e', 'B', 'Z/z', '0/1/2/3'];
    for (const key of keys) await current().put(key, Buffer.from(key));
    const listed: StoredObject[] = [];
    for await (const object of current().list('')) listed.push(object);
    expect(listed.map(({ key }) => key)).toEqual(keys.toSorted());
    expect(listed.map(({ sizeBytes }) => sizeBytes)).toEqual(keys.toSorted().map((key) => key.length));
  });

  it('lists what begins with the prefix, which may end within a name', async () => {
    const id = 'ab'.repeat(32);
    for (const key of [
      `chunks/ab/${id}.1`,
      `chunks/ab/${id}.2`,
      'chunks/ab/cc',
      'chunks/ac/dd',
      'chunks-of/ab',
      'backups/x.json',
    ]) {
      await current().put(key, Buffer.from('x'));
    }
    expect(await keysOf(current().list(`chunks/ab/${id}.`))).toEqual([`chunks/ab/${id}.1`, `chunks/ab/${id}.2`]);
    expect(await keysOf(current().list('chunks/a'))).toHaveLength(4);
    expect(await keysOf(current().list('chunks'))).toHaveLength(5);
    expect(await keysOf(current().list('chunks/ab/cc'))).toEqual(['chunks/ab/cc']);
    expect(await keysOf(current().list('chunks/ab/cc/'))).toEqual([]);
  });

  it('lists more objects than fit into one page, each once', async () => {
    const keys = Array.from({ length: 1_100 }, (_, index) => `chunks/ab/${String(index).padStart(5, '0')}`);
    for (let begin = 0; begin < keys.length; begin += 50) {
      await Promise.all(keys.slice(begin, begin + 50).map((key) => current().put(key, Buffer.from('x'))));
    }
    expect(await keysOf(current().list('chunks/'))).toEqual(keys);
  });

  it('stops when the reader stops', async () => {
    await current().put('a', Buffer.from('x'));
    await current().put('b', Buffer.from('x'));
    for await (const { key } of current().list('')) {
      expect(key).toBe('a');
      break;
    }
  });
}

function refusing(current: () => ObjectStore): void {
  it.each(badKeys)('refuses the key %j', async (key) => {
    await expect(current().put(key, Buffer.from('x'))).rejects.toThrow('is not an object key');
    await expect(current().get(key, limit)).rejects.toThrow('is not an object key');
    await expect(current().head(key)).rejects.toThrow('is not an object key');
    await expect(current().retain(key)).rejects.toThrow('is not an object key');
    await expect(current().delete(key)).rejects.toThrow('is not an object key');
  });

  it.each(['/', '../', 'a/../', '.', '.tmp/', 'a//'])('refuses to list the prefix %j', async (prefix) => {
    await expect(async () => await keysOf(current().list(prefix))).rejects.toThrow('is not an object prefix');
  });

  it('says where it is without secrets', () => {
    expect(current().location).toMatch(/^[a-z0-9]+:\/\/\S+$/);
    expect(JSON.parse(JSON.stringify(current().connection))).toEqual(current().connection);
  });
}
