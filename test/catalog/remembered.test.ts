import {
  cpSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { openCatalogCache } from '#adapters/data-directory/catalog-cache.ts';
import { DirectoryStore } from '#adapters/filesystem/directory-store.ts';
import { systemClock } from '#adapters/system/clock.ts';
import { systemRandomness } from '#adapters/system/randomness.ts';
import { manifestPath, verificationPath } from '#format/layout.ts';
import { encodeVerification } from '#format/verification.ts';
import { openKeyring, type OpenedKeyring } from '#keys/keyring.ts';
import { sha256Hex } from '#keys/keyring-entry.ts';
import { readCatalog, type Catalog } from '#operations/read-catalog.ts';
import { readManifest } from '#operations/read-manifest.ts';
import { recallBackup, recallCatalog } from '#operations/recall-catalog.ts';
import type { CatalogCache } from '#ports/catalog-cache.ts';
import type { ObjectStore, StoredObject } from '#ports/object-store.ts';
import { makeCatalogDataset, type CatalogDataset } from '../../bench/catalog-dataset.ts';
import { temporaryDirectory } from '../fixtures/host.ts';
import { storeWith } from '../fixtures/repository.ts';

const backups = 150;

let dataset: CatalogDataset;
let cache: CatalogCache;
let store: ObjectStore;

beforeEach(async () => {
  const dataDirectory = join(temporaryDirectory(), 'data');
  dataset = await makeCatalogDataset(dataDirectory, { backups, objects: 30, newObjects: 2 });
  cache = openCatalogCache(dataDirectory);
  store = new DirectoryStore(join(dataDirectory, 'backups'));
});

const fileOf = (key: string): string => join(dataset.dataDirectory, 'backups', key);
const cacheFile = (): string => join(dataset.dataDirectory, 'state', 'catalog');

/** What is remembered says what reading everything says; resolves with how many documents were read for it. */
async function expectAsRead(keyring: OpenedKeyring = dataset.keyring): Promise<{ catalog: Catalog; reads: number }> {
  let reads = 0;
  const counting = storeWith(store, {
    get: (key, limit) => {
      reads += 1;
      return store.get(key, limit);
    },
  });
  const { recalled, ...catalog } = await recallCatalog(counting, keyring, cache);
  expect(catalog).toEqual(await readCatalog(store, keyring));
  expect(recalled.size + reads).toBe(catalog.backups.length + catalog.verifications.length + catalog.rejected.length);
  return { catalog, reads };
}

/** The same size and the same time of modification; what the kernel notes beside is out of reach. */
function alterInPlace(key: string): void {
  const { atime, mtime, size } = statSync(fileOf(key));
  const bytes = readFileSync(fileOf(key));
  bytes[Math.floor(size / 2)]! ^= 1;
  writeFileSync(fileOf(key), bytes);
  utimesSync(fileOf(key), atime, mtime);
  expect(statSync(fileOf(key))).toMatchObject({ size, mtime });
}

describe('a remembered catalogue', () => {
  it('reads every document once, and new ones when they come', async () => {
    expect((await expectAsRead()).reads).toBe(backups * 2);
    expect((await expectAsRead()).reads).toBe(0);
    dataset.add(3);
    const { catalog, reads } = await expectAsRead();
    expect(reads).toBe(6);
    expect(catalog.backups).toHaveLength(backups + 3);
    expect(catalog.backups[0]).toMatchObject({ entry: { sequence: backups + 3, authentic: true } });
    expect(catalog.backups[0]!.entry.verified).not.toBeNull();
    expect((await expectAsRead()).reads).toBe(0);
  });

  it('lists nothing that was deleted, and keeps nothing of it', async () => {
    await expectAsRead();
    const gone = dataset.ids.slice(0, 50);
    for (const id of gone) await store.delete(manifestPath(id));
    const { catalog, reads } = await expectAsRead();
    expect(reads).toBe(0);
    expect(catalog.backups.map(({ entry }) => entry.id)).toEqual(dataset.ids.slice(50).toReversed());
    const size = statSync(cacheFile()).size;
    for (const id of dataset.ids.slice(50, 100)) await store.delete(manifestPath(id));
    await expectAsRead();
    expect(statSync(cacheFile()).size).toBeLessThan(size);
  });

  it('takes a verification into account that came later', async () => {
    const { catalog: before } = await expectAsRead();
    const [newest] = before.backups;
    expect(newest!.entry.verified).not.toBeNull();
    const verificationId = '20290101T000000Z-000000';
    const bad = [newest!.objects[0]!.name];
    const facts = {
      level: 'all-chunks' as const,
      at: '2029-01-01T00:00:00.000Z',
      readingMs: 60_000,
      nodeId: dataset.keyring.nodeId,
      drill: null,
    };
    const verification = { ...facts, verificationId, backups: [newest!.entry.id], passed: false, objects: null, bad };
    await store.put(verificationPath(verificationId), encodeVerification(dataset.keyring, verification));
    const { catalog, reads } = await expectAsRead();
    expect(reads).toBe(1);
    expect(catalog.backups[0]!.entry.verified).toBeNull();
    expect([...catalog.badObjects]).toEqual(bad);
  });

  it.each(['manifest', 'verification'] as const)(
    'rejects a %s that was altered in place, with its size and time',
    async (type) => {
      const { catalog } = await expectAsRead();
      const key = type === 'manifest' ? manifestPath(dataset.ids.at(-1)!) : catalog.verifications.at(-1)!.path;
      alterInPlace(key);
      const { catalog: after, reads } = await expectAsRead();
      expect(reads).toBe(1);
      expect(after.rejected).toMatchObject([{ path: key, code: expect.stringMatching(/forged|damaged/) as string }]);
    },
  );

  it('shows no manifest of another cluster, and none under the name of another backup', async () => {
    await expectAsRead();
    const other = await makeCatalogDataset(join(temporaryDirectory(), 'data'), { backups: 1, objects: 3 });
    const foreign = manifestPath(other.ids[0]!.replace(/.$/, 'z'));
    cpSync(join(other.dataDirectory, 'backups', manifestPath(other.ids[0]!)), fileOf(foreign));
    const moved = manifestPath(dataset.ids[7]!);
    rmSync(fileOf(moved));
    cpSync(fileOf(manifestPath(dataset.ids[8]!)), fileOf(moved));
    const { catalog, reads } = await expectAsRead();
    expect(reads).toBe(2);
    expect(catalog.rejected.map(({ path, code }) => ({ path, code }))).toEqual(
      [foreign, moved].toSorted().map((path) => ({ path, code: 'forged' })),
    );
    expect((await expectAsRead()).reads).toBe(2);
  });

  it('is read anew under new keys, and shows nothing that they do not accept', async () => {
    await expectAsRead();
    const kept = dataset.ids.slice(0, -1);
    const accepted = [
      ...dataset.keyring.documents.map(({ bytes }) => sha256Hex(bytes)),
      ...kept.map((id) => sha256Hex(readFileSync(fileOf(manifestPath(id))))),
    ];
    const ports = { clock: systemClock, randomness: systemRandomness };
    const documents = await dataset.keyring.newGeneration({ epoch: 2, acceptedPast: accepted, evicted: [] }, ports);
    const keyring = await openKeyring([...dataset.keyring.documents, ...documents], dataset.sealing);
    expect(keyring.keyGeneration).toBe(2);
    const { catalog, reads } = await expectAsRead(keyring);
    expect(reads).toBe(backups * 2);
    expect(catalog.backups.map(({ entry }) => entry.id)).toEqual(kept.toReversed());
    expect(catalog.rejected).toHaveLength(1 + backups);
    expect((await expectAsRead(keyring)).reads).toBe(1 + backups);
  });

  it('of another repository, of another cluster, or without the key counts for nothing', async () => {
    await expectAsRead();
    const copy = join(temporaryDirectory(), 'copy');
    cpSync(join(dataset.dataDirectory, 'backups'), copy, { recursive: true, preserveTimestamps: true });
    store = new DirectoryStore(copy);
    expect((await expectAsRead()).reads).toBe(backups * 2);
    const other = await makeCatalogDataset(join(temporaryDirectory(), 'data'), { backups: 2, objects: 3 });
    cpSync(cacheFile(), join(other.dataDirectory, 'state/catalog'));
    dataset = other;
    cache = openCatalogCache(other.dataDirectory);
    store = new DirectoryStore(join(other.dataDirectory, 'backups'));
    expect((await expectAsRead()).reads).toBe(4);
    const { backups: listed, recalled } = await recallCatalog(store, undefined, cache);
    expect(listed.map(({ entry }) => entry.authentic)).toEqual(['unknown', 'unknown']);
    expect(recalled.size).toBe(0);
  });
});

describe('the file with what is remembered', () => {
  it.each([
    ['shorter', (bytes: Buffer) => bytes.subarray(0, bytes.length - 1)],
    ['empty', () => Buffer.alloc(0)],
    ['with another bit', (bytes: Buffer) => bytes.fill(bytes[5000]! ^ 1, 5000, 5001)],
    ['with another code', (bytes: Buffer) => bytes.fill(bytes[3]! ^ 1, 3, 4)],
    ['of something else', () => Buffer.from('{"manifests":[]}'.repeat(100))],
  ])('is made anew where it is %s', async (_, damage) => {
    await expectAsRead();
    writeFileSync(cacheFile(), damage(readFileSync(cacheFile())));
    expect((await expectAsRead()).reads).toBe(backups * 2);
    expect((await expectAsRead()).reads).toBe(0);
  });

  it('is written by several at once, and is whole afterwards or made anew', async () => {
    const all = await Promise.all(Array.from({ length: 4 }, () => recallCatalog(store, dataset.keyring, cache)));
    for (const { recalled: _, ...catalog } of all) expect(catalog).toEqual(await readCatalog(store, dataset.keyring));
    await expectAsRead();
    expect((await expectAsRead()).reads).toBe(0);
    expect(statSync(cacheFile()).mode & 0o777).toBe(0o600);
  });

  it('is not followed elsewhere, and does without where it cannot be', async () => {
    const outside = join(temporaryDirectory(), 'outside');
    writeFileSync(outside, 'mine');
    symlinkSync(outside, `${cacheFile()}.new`);
    await expectAsRead();
    expect(readFileSync(outside, 'utf8')).toBe('mine');
    expect((await expectAsRead()).reads).toBe(backups * 2);
    rmSync(`${cacheFile()}.new`);
    mkdirSync(cacheFile());
    expect((await expectAsRead()).reads).toBe(backups * 2);
    renameSync(join(dataset.dataDirectory, 'state'), join(dataset.dataDirectory, 'elsewhere'));
    expect((await expectAsRead()).reads).toBe(backups * 2);
  });
});

/** As somebody with the disk in his hands makes it: the listing of before, whatever lies there now. */
async function asListedBefore(): Promise<ObjectStore> {
  const before: StoredObject[] = [];
  for await (const object of store.list('')) before.push(object);
  return storeWith(store, {
    list: async function* (prefix) {
      for (const object of before) if (object.key.startsWith(prefix)) yield object;
    },
  });
}

describe('a store that says that an altered manifest is the same', () => {
  it('is believed for the list only: to plan reads the manifest, and so does whoever restores', async () => {
    await expectAsRead();
    const [newest, next] = dataset.ids.toReversed();
    const lying = await asListedBefore();
    alterInPlace(manifestPath(newest!));
    const shown = await recallCatalog(lying, dataset.keyring, cache);
    expect(shown.backups[0]!.entry.id).toBe(newest);

    const planned = await recallBackup(lying, dataset.keyring, cache, 'latest');
    expect(planned.backup.entry.id).toBe(next);
    expect(planned.catalog.rejected).toMatchObject([{ path: manifestPath(newest!) }]);
    const refusal = { code: expect.stringMatching(/forged|damaged/) as string };
    await expect(recallBackup(lying, dataset.keyring, cache, newest!)).rejects.toMatchObject(refusal);
    await expect(readManifest(lying, dataset.keyring, newest!)).rejects.toMatchObject(refusal);
    expect((await readCatalog(lying, dataset.keyring)).backups[0]!.entry.id).toBe(next);
  });

  it('and tells no versions is read anew each time', async () => {
    const list = async function* (prefix: string): AsyncGenerator<StoredObject> {
      for await (const { version: _, ...object } of store.list(prefix)) yield object;
    };
    const silent = storeWith(store, { list });
    await recallCatalog(silent, dataset.keyring, cache);
    expect((await recallCatalog(silent, dataset.keyring, cache)).recalled.size).toBe(0);
  });
});
