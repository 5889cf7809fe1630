/** A directory repository with many authentic backups that share nearly all of their objects, made without a database. */
import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { openLocalState } from '#adapters/data-directory/local-state.ts';
import { createSoftwareSealing } from '#adapters/software/software-sealing.ts';
import { systemClock } from '#adapters/system/clock.ts';
import { systemRandomness as randomness } from '#adapters/system/randomness.ts';
import { chunkObjectPath, manifestPath, markerPath, verificationPath } from '#format/layout.ts';
import { encodeManifest, manifestTotals, type ObjectReference, type TableManifest } from '#format/manifest.ts';
import { encodeMarker } from '#format/marker.ts';
import { encodeVerification } from '#format/verification.ts';
import { newClusterKeyring, openKeyring, type OpenedKeyring } from '#keys/keyring.ts';
import { timedId, type BackupId } from '#model/identifiers.ts';
import { productVersion } from '#model/product.ts';
import { rememberNode } from '#operations/remember-node.ts';
import type { Sealing } from '#ports/sealing.ts';
import { loadMigrations } from '#store/migrations.ts';

export interface CatalogDataset {
  /** What `ENCLAVE_MANAGER_DATA_DIR` is set to; the repository is `backups` in it. */
  readonly dataDirectory: string;
  readonly keyring: OpenedKeyring;
  readonly sealing: Sealing;
  readonly ids: readonly BackupId[];
  /** Takes more backups after the ones before, each with its verification. */
  add(backups: number): void;
}

export interface CatalogDatasetOptions {
  readonly backups: number;
  readonly objects?: number;
  /** Objects in which a backup differs from the one before. */
  readonly newObjects?: number;
}

const hourMs = 3_600_000;
/** Hourly backups from here on. */
const firstStart = Date.parse('2024-01-01T00:00:00.000Z');
/** An object stands for a chunk of this many rows; what is stored of it is small. */
const rowsPerChunk = 4000;
const storedChunkBytes = 64;

export async function makeCatalogDataset(
  dataDirectory: string,
  { backups, objects = 200, newObjects = 5 }: CatalogDatasetOptions,
): Promise<CatalogDataset> {
  const sealing = createSoftwareSealing({
    keyFile: join(dataDirectory, 'keys/host.key'),
    keyExpected: false,
    randomness,
  });
  mkdirSync(dataDirectory, { recursive: true, mode: 0o700 });
  await sealing.provision();
  const { documents } = await newClusterKeyring(
    { sealing, clock: systemClock, randomness },
    { name: 'host-a', site: null },
  );
  const keyring = await openKeyring(documents, sealing);
  await rememberNode({ keyring, localState: openLocalState(dataDirectory) }, sealing);
  const store = new PlainWriter(join(dataDirectory, 'backups'));
  for (const { path, bytes } of documents) store.write(path, bytes);
  store.write(markerPath, encodeMarker(keyring, new Date(firstStart)));
  const maker = new BackupMaker(keyring, store, objects, newObjects);
  maker.add(backups);
  return { dataDirectory, keyring, sealing, ids: maker.ids, add: (more) => maker.add(more) };
}

/** Files as a directory store has them, written without waiting for the disk. */
class PlainWriter {
  readonly #root: string;
  readonly #made = new Set<string>();

  constructor(root: string) {
    this.#root = root;
  }

  write(key: string, bytes: Uint8Array): void {
    const path = join(this.#root, key);
    const directory = dirname(path);
    if (!this.#made.has(directory)) mkdirSync(directory, { recursive: true, mode: 0o700 });
    this.#made.add(directory);
    writeFileSync(path, bytes, { mode: 0o600, flag: 'wx' });
  }
}

class BackupMaker {
  readonly ids: BackupId[] = [];
  readonly #keyring: OpenedKeyring;
  readonly #store: PlainWriter;
  readonly #newObjects: number;
  readonly #incarnation = { number: 1, random: randomness.bytes(8).toString('hex') };
  readonly #migrations = loadMigrations().map(({ version, checksum }) => ({ version, checksum }));
  /** In the order of the rows; the oldest position is rewritten next. */
  readonly #objects: ObjectReference[] = [];
  #rewritten = 0;

  constructor(keyring: OpenedKeyring, store: PlainWriter, objects: number, newObjects: number) {
    this.#keyring = keyring;
    this.#store = store;
    this.#newObjects = newObjects;
    for (let index = 0; index < objects; index += 1) this.#objects.push(this.#newObject());
  }

  add(backups: number): void {
    for (let index = 0; index < backups; index += 1) this.#addOne();
  }

  #addOne(): void {
    const startedAt = new Date(firstStart + this.ids.length * hourMs);
    const fresh = Array.from({ length: this.#newObjects }, () => this.#replaceOne());
    const id = timedId(startedAt, randomness.bytes(6));
    this.#store.write(manifestPath(id), this.#manifest(id, startedAt));
    this.ids.push(id);
    const isFirst = this.ids.length === 1;
    const verificationId = timedId(new Date(startedAt.getTime() + 60_000), randomness.bytes(6));
    const verification = encodeVerification(this.#keyring, {
      verificationId,
      backups: [id],
      level: isFirst ? 'all-chunks' : 'new-chunks',
      at: startedAt.toISOString(),
      readingMs: 60_000,
      nodeId: this.#keyring.nodeId,
      passed: true,
      objects: isFirst ? null : fresh.toSorted(),
      bad: [],
      drill: null,
    });
    this.#store.write(verificationPath(verificationId), verification);
  }

  #manifest(id: BackupId, startedAt: Date): Buffer {
    const objects = this.#objects.toSorted((a, b) => (a.name < b.name ? -1 : 1));
    const chunks = this.#objects.map(({ name }) => ({
      id: name.slice(0, 64),
      rows: rowsPerChunk,
      rowBytes: rowsPerChunk * 300,
    }));
    const tables: TableManifest[] = [
      { name: 'events', columns: [{ name: 'id', type: 'uuid' }], rows: chunks.length * rowsPerChunk, chunks },
    ];
    const summary = {
      ...manifestTotals(tables, objects),
      id,
      clusterId: this.#keyring.clusterId,
      kind: 'scheduled' as const,
      sequence: this.ids.length + 1,
      startedAt: startedAt.toISOString(),
      endedAt: new Date(startedAt.getTime() + 10_000).toISOString(),
      engine: 'postgresql 18.4',
      schemaVersion: this.#migrations.length,
      productVersion,
      epochs: [this.#keyring.currentEpoch.epoch],
      incarnation: this.#incarnation,
    };
    const parts = { summary, objects, tables, warnings: [], migrations: this.#migrations };
    return encodeManifest(this.#keyring, { ...parts, keyring: this.#keyring.documents }, randomness);
  }

  #replaceOne(): string {
    const object = this.#newObject();
    this.#objects[this.#rewritten % this.#objects.length] = object;
    this.#rewritten += 1;
    return object.name;
  }

  #newObject(): ObjectReference {
    const bytes = randomness.bytes(storedChunkBytes);
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    const name = `${randomness.bytes(32).toString('hex')}.${sha256.slice(0, 16)}`;
    this.#store.write(chunkObjectPath(name), bytes);
    return { name, sizeBytes: bytes.length, sha256 };
  }
}
