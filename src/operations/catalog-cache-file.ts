/**
 * What a host keeps of documents that it found authentic (`ports/catalog-cache.ts`):
 *
 *   HMAC-SHA-256 (32) | zstd of: number of places (u32) | number of objects (u32) | places (u32 each) | object table | JSON
 *
 * The JSON is `[manifests, verifications]`, each document with the lengths of its lists; these follow each other in the
 * order of the documents and name objects by their place in the table. The MAC covers everything and whose it is, so bytes
 * that pass are ones that were encoded here: they are not checked for anything else.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { encodeFields } from '#keys/pae.ts';
import type { BackupSummary } from '#model/backup.ts';
import { productVersion } from '#model/product.ts';
import type { StoredObject } from '#ports/object-store.ts';
import { entryBytes, ObjectTable } from './object-table.ts';
import type { ManifestFacts, RecordedDocument, RememberedRecord, VerificationFacts } from './read-record.ts';

const formatVersion = 3;
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
  Omit<VerificationFacts, 'objects' | 'bad'>,
  objects: number | null,
  bad: number,
];
type Index = readonly [readonly KeptManifest[], readonly KeptVerification[]];

/** `undefined` for more than is kept. */
export function encodeCatalogCache(owner: CacheOwner, record: RememberedRecord): Buffer | undefined {
  const lists: Uint32Array[] = [];
  const keep = (places: Uint32Array): number => {
    lists.push(places);
    return places.length;
  };
  const index: Index = [
    record.manifests.map(({ object, facts }) => [...listed(object), facts.summary, keep(facts.objects)]),
    record.verifications.map(({ object, facts: { objects, bad, ...facts } }) => {
      return [...listed(object), facts, objects === null ? null : keep(objects), keep(bad)];
    }),
  ];
  const json = JSON.stringify(index);
  const { entries, places } = compacted(record.table, lists);
  const length = headerBytes + places.byteLength + entries.length + Buffer.byteLength(json);
  if (length > maxBodyBytes) return undefined;
  const body = Buffer.allocUnsafe(length);
  body.writeUInt32LE(places.length, 0);
  body.writeUInt32LE(entries.length / entryBytes, 4);
  body.set(Buffer.from(places.buffer), headerBytes);
  body.set(entries, headerBytes + places.byteLength);
  body.write(json, headerBytes + places.byteLength + entries.length);
  const packed = zstdCompressSync(body, fastest);
  return Buffer.concat([mac(owner, packed), packed]);
}

/** The lists one after another, and a table of what they name: the one at hand may have more. */
function compacted(table: ObjectTable, lists: readonly Uint32Array[]): { entries: Buffer; places: Uint32Array } {
  const places = new Uint32Array(lists.reduce((sum, { length }) => sum + length, 0));
  const named: number[] = [];
  const moved = new Int32Array(table.length).fill(-1);
  let end = 0;
  for (const list of lists) {
    for (const place of list) {
      if (moved[place] === -1) moved[place] = named.push(place) - 1;
      places[end++] = moved[place]!;
    }
  }
  return { entries: table.entriesOf(named), places };
}

/** `undefined` for what is damaged, another version's or another owner's. */
export function decodeCatalogCache(owner: CacheOwner, bytes: Buffer): RememberedRecord | undefined {
  const packed = bytes.subarray(macBytes);
  if (bytes.length < macBytes || !timingSafeEqual(mac(owner, packed), bytes.subarray(0, macBytes))) return undefined;
  const body = zstdDecompressSync(packed, { maxOutputLength: maxBodyBytes });
  const entriesBegin = headerBytes + body.readUInt32LE(0) * 4;
  const jsonBegin = entriesBegin + body.readUInt32LE(4) * entryBytes;
  // Copies, so that neither is kept in memory for the other's sake, nor for that of the text.
  const places = new Uint32Array(Uint8Array.from(body.subarray(headerBytes, entriesBegin)).buffer);
  const table = new ObjectTable(Buffer.from(body.subarray(entriesBegin, jsonBegin)));
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- The MAC says that it was encoded here.
  const [manifests, verifications] = JSON.parse(body.toString('utf8', jsonBegin)) as Index;
  let at = 0;
  const next = (count: number): Uint32Array => places.subarray(at, (at += count));
  return {
    table,
    manifests: manifests.map(([key, size, modified, version, summary, objects]): RecordedDocument<ManifestFacts> => {
      return { object: stored([key, size, modified, version]), facts: { summary, objects: next(objects) } };
    }),
    verifications: verifications.map(
      ([key, size, modified, version, facts, objects, bad]): RecordedDocument<VerificationFacts> => {
        const read = objects === null ? null : next(objects);
        return { object: stored([key, size, modified, version]), facts: { ...facts, objects: read, bad: next(bad) } };
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
