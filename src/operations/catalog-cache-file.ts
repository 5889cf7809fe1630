/**
 * What a host keeps of documents that it found authentic (`ports/catalog-cache.ts`):
 *
 *   HMAC-SHA-256 (32) | zstd of: length of the JSON (u32) | number of objects (u32) | JSON | object table | lists (u32 each)
 *
 * The JSON is `[manifests, verifications]`, each document with the lengths of its lists; these follow each other in the
 * order of the documents and name objects by their place in the table. The MAC covers everything and whose it is, so bytes
 * that pass are ones that were encoded here: they are not checked for anything else.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import type { Verification } from '#format/verification.ts';
import { encodeFields } from '#keys/pae.ts';
import type { BackupSummary } from '#model/backup.ts';
import { productVersion } from '#model/product.ts';
import type { StoredObject } from '#ports/object-store.ts';
import { entryBytes, ObjectTable, ObjectTableWriter } from './object-table.ts';
import type { ManifestFacts, RecordedDocument, RememberedRecord } from './read-record.ts';

const formatVersion = 1;
const macBytes = 32;
const headerBytes = 8;
/** More than this is not kept: so large a repository is read anew each time. */
const maxBodyBytes = 256 * 1024 * 1024;
const fastest = { params: { [constants.ZSTD_c_compressionLevel]: 1 } };

/** What is kept of one repository, or under other keys, says nothing here. */
export interface CacheOwner {
  /** `OpenedKeyring.catalogCacheKey`. */
  readonly key: Buffer;
  readonly location: string;
}

type Listed = readonly [key: string, sizeBytes: number, modifiedMs: number, version: string];
type KeptManifest = readonly [...Listed, BackupSummary, objects: number];
/** `null` objects: all of its backups. */
type KeptVerification = readonly [
  ...Listed,
  Omit<Verification, 'objects' | 'bad'>,
  objects: number | null,
  bad: number,
];
type Index = readonly [readonly KeptManifest[], readonly KeptVerification[]];

/** `undefined` for more than is kept. */
export function encodeCatalogCache(owner: CacheOwner, record: RememberedRecord): Buffer | undefined {
  const table = new ObjectTableWriter();
  const places: number[] = [];
  const keep = (list: readonly number[]): number => {
    for (const place of list) places.push(place);
    return list.length;
  };
  const keepNames = (names: readonly string[]): number => keep(names.map((name) => table.placeOfName(name)));
  const index: Index = [
    record.manifests.map(({ object, facts }) => {
      const objects = keep(facts.objects.map((reference) => table.place(reference)));
      return [...listed(object), facts.summary, objects];
    }),
    record.verifications.map(({ object, facts: { objects, bad, ...facts } }) => {
      return [...listed(object), facts, objects === null ? null : keepNames(objects), keepNames(bad)];
    }),
  ];
  const json = Buffer.from(JSON.stringify(index));
  const entries = table.bytes();
  const header = Buffer.alloc(headerBytes);
  header.writeUInt32LE(json.length, 0);
  header.writeUInt32LE(entries.length / entryBytes, 4);
  const body = Buffer.concat([header, json, entries, Buffer.from(Uint32Array.from(places).buffer)]);
  if (body.length > maxBodyBytes) return undefined;
  const packed = zstdCompressSync(body, fastest);
  return Buffer.concat([mac(owner, packed), packed]);
}

/** `undefined` for what is damaged, another version's or another owner's. */
export function decodeCatalogCache(owner: CacheOwner, bytes: Buffer): RememberedRecord | undefined {
  const packed = bytes.subarray(macBytes);
  if (bytes.length < macBytes || !timingSafeEqual(mac(owner, packed), bytes.subarray(0, macBytes))) return undefined;
  const body = zstdDecompressSync(packed, { maxOutputLength: maxBodyBytes });
  const entriesBegin = headerBytes + body.readUInt32LE(0);
  const placesBegin = entriesBegin + body.readUInt32LE(4) * entryBytes;
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- The MAC says that it was encoded here.
  const [manifests, verifications] = JSON.parse(body.toString('utf8', headerBytes, entriesBegin)) as Index;
  const table = new ObjectTable(body.subarray(entriesBegin, placesBegin));
  let at = placesBegin;
  const next = <T>(count: number, read: (place: number) => T): T[] => {
    // oxlint-disable-next-line unicorn/no-new-array -- Filled at once; growing two million entries takes longer than reading them.
    const list = new Array<T>(count);
    for (let index = 0; index < count; index += 1, at += 4) list[index] = read(body.readUInt32LE(at));
    return list;
  };
  return {
    manifests: manifests.map(([key, size, modified, version, summary, objects]): RecordedDocument<ManifestFacts> => {
      const facts = { summary, objects: next(objects, (place) => table.reference(place)) };
      return { object: stored([key, size, modified, version]), facts };
    }),
    verifications: verifications.map(
      ([key, size, modified, version, facts, objects, bad]): RecordedDocument<Verification> => {
        const named = objects === null ? null : next(objects, (place) => table.name(place));
        const badNames = next(bad, (place) => table.name(place));
        return { object: stored([key, size, modified, version]), facts: { ...facts, objects: named, bad: badNames } };
      },
    ),
  };
}

const listed = ({ key, sizeBytes, modifiedAt, version = '' }: StoredObject): Listed => [
  key,
  sizeBytes,
  modifiedAt.getTime(),
  version,
];

const stored = ([key, sizeBytes, modifiedMs, version]: Listed): StoredObject => ({
  key,
  sizeBytes,
  modifiedAt: new Date(modifiedMs),
  version,
});

function mac({ key, location }: CacheOwner, packed: Buffer): Buffer {
  const fields = encodeFields('enclave-manager/catalog-cache', [formatVersion, productVersion, location, packed]);
  return createHmac('sha256', key).update(fields).digest();
}
