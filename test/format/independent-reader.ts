/**
 * A second reader of repositories, written from docs/backup-format.md alone: lists, authenticates and decrypts every backup
 * of a directory, given the host key of software sealing. Imports nothing from src, and must not.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { zstdDecompressSync } from 'node:zlib';

import { type Json, type Keyring, openKeyring, readDocument, type SignedDocument } from './independent-keyring.ts';
import { hkdf, hmac, openGcm, openSealed, pae, sha256, uuidBytes } from './independent-primitives.ts';

export interface ReadBackup {
  readonly id: string;
  readonly sequence: number;
  /** COPY text. */
  readonly tables: readonly { readonly name: string; readonly columns: readonly string[]; readonly rows: string }[];
}

interface ObjectReference {
  readonly name: string;
  readonly sizeBytes: number;
  readonly sha256: string;
}

interface Details {
  readonly tables: readonly {
    readonly name: string;
    readonly columns: readonly { readonly name: string }[];
    readonly rows: number;
    readonly chunks: readonly { readonly id: string; readonly rows: number; readonly rowBytes: number }[];
  }[];
}

export class IndependentReader {
  readonly keyring: Keyring;
  readonly #root: string;

  /** Where `keyring/` is damaged, `fallback` names a backup whose manifest has the copies. */
  constructor(root: string, hostKey: Buffer, fallback?: string) {
    this.#root = root;
    this.keyring = openKeyring(
      fallback === undefined ? this.#documentsIn('keyring') : this.#copiesIn(fallback),
      hostKey,
    );
    const marker = this.#document('enclave-manager.json');
    if (marker.type !== 'marker' || !this.keyring.isAuthentic(marker)) throw new Error('the marker is not authentic');
    if ((marker.payload['formatVersion'] as number) > 1) throw new Error('version not compatible');
  }

  /** Ids of authentic backups, oldest first. */
  backups(): string[] {
    const authentic = this.#documentsIn('backups').filter((document) => this.#isManifest(document));
    const summaryOf = ({ payload }: SignedDocument): Manifest['summary'] => payload['summary'] as Manifest['summary'];
    return authentic
      .toSorted((one, other) => summaryOf(one).sequence - summaryOf(other).sequence)
      .map((document) => summaryOf(document).id);
  }

  /** Authentic verifications, by id. */
  verifications(): Json[] {
    const documents = this.#documentsIn('verifications').filter(
      (document) => document.type === 'verification' && this.keyring.isAuthentic(document),
    );
    return documents.map(({ payload }) => payload);
  }

  read(id: string): ReadBackup {
    const document = this.#document(`backups/${id}.json`);
    if (!this.#isManifest(document)) throw new Error(`backup ${id} is not authentic`);
    const { summary, objects, encrypted } = document.payload as unknown as Manifest;
    expectEqual('chunks', summary.chunks, objects.length);
    expectEqual('stored bytes', summary.storedBytes, sum(objects.map(({ sizeBytes }) => sizeBytes)));
    expectEqual('newest epoch', summary.epochs.at(-1), encrypted.epoch);
    const details = this.#details(id, encrypted);
    expectEqual('rows', summary.rows, sum(details.tables.map(({ rows }) => rows)));
    expectEqual(
      'bytes',
      summary.logicalBytes,
      sum(details.tables.flatMap(({ chunks }) => chunks.map(({ rowBytes }) => rowBytes))),
    );
    const tables = details.tables.map(({ name, columns, rows, chunks }) => {
      expectEqual(`rows of ${name}`, rows, sum(chunks.map((chunk) => chunk.rows)));
      const parts = chunks.map((chunk) => this.#chunk(chunk, summary.epochs, objects));
      return { name, columns: columns.map((column) => column.name), rows: Buffer.concat(parts).toString('utf8') };
    });
    return { id, sequence: summary.sequence, tables };
  }

  #isManifest(document: SignedDocument): boolean {
    const summary = document.payload['summary'] as { id: string; clusterId: string };
    return (
      document.type === 'manifest' &&
      this.keyring.isAuthentic(document) &&
      document.path === `backups/${summary.id}.json` &&
      summary.clusterId === this.keyring.clusterId
    );
  }

  #details(id: string, { epoch, bytes }: Manifest['encrypted']): Details {
    const json = openSealed(
      this.#key('manifest', epoch),
      pae('enclave-manager/1/manifest', id, epoch),
      Buffer.from(bytes, 'base64'),
    );
    if (json === undefined) throw new Error(`the encrypted part of ${id} does not open`);
    return JSON.parse(zstdDecompressSync(json, { maxOutputLength: 256 * 1024 * 1024 }).toString()) as Details;
  }

  /** The object that the manifest names; where it is missing or not good, any good one under the same id. */
  #chunk(
    chunk: Details['tables'][number]['chunks'][number],
    epochs: readonly number[],
    objects: readonly ObjectReference[],
  ): Buffer {
    const reference = objects.find(({ name }) => name.startsWith(`${chunk.id}.`));
    if (reference === undefined) throw new Error(`chunk ${chunk.id} has no object`);
    const directory = `chunks/${chunk.id.slice(0, 2)}`;
    const names = this.#names(directory).filter((name) => name.startsWith(`${chunk.id}.`));
    for (const name of names.toSorted((one) => (one === reference.name ? -1 : 1))) {
      const bytes = readFileSync(join(this.#root, directory, name));
      if (name === reference.name && (bytes.length !== reference.sizeBytes || sha256(bytes) !== reference.sha256))
        continue;
      const rows = this.#openChunk(chunk, epochs, bytes);
      if (rows !== undefined) return rows;
    }
    throw new Error(`chunk ${chunk.id} is missing or damaged`);
  }

  #openChunk(
    { id, rows, rowBytes }: { id: string; rows: number; rowBytes: number },
    epochs: readonly number[],
    bytes: Buffer,
  ): Buffer | undefined {
    if (bytes.length < 40 || bytes.subarray(0, 8).toString('hex') !== '454d434801010000') return undefined;
    const epoch = bytes.readUInt32BE(8);
    if (!epochs.includes(epoch)) return undefined;
    const associated = Buffer.concat([bytes.subarray(0, 24), Buffer.from(id, 'hex')]);
    const compressed = openGcm(this.#key('chunk', epoch), bytes.subarray(12, 24), associated, bytes.subarray(24));
    if (compressed === undefined) return undefined;
    const plain = zstdDecompressSync(compressed, { maxOutputLength: rowBytes });
    if (hmac(this.#key('chunk-id', epoch), plain).toString('hex') !== id) return undefined;
    expectEqual('bytes of a chunk', plain.length, rowBytes);
    expectEqual('rows of a chunk', plain.filter((byte) => byte === 0x0a).length, rows);
    return plain;
  }

  #key(purpose: string, epoch: number): Buffer {
    const rootKey = this.keyring.rootKeys.get(epoch);
    if (rootKey === undefined) throw new Error(`no key on this host opens epoch ${epoch}`);
    return hkdf(rootKey, uuidBytes(this.keyring.clusterId), `enclave-manager/1/${purpose}/${epoch}`, 32);
  }

  #document(path: string): SignedDocument {
    return readDocument(path, readFileSync(join(this.#root, path)));
  }

  #copiesIn(backupId: string): SignedDocument[] {
    const copies = this.#document(`backups/${backupId}.json`).payload['keyring'] as readonly {
      path: string;
      bytes: string;
    }[];
    return copies.map(({ path, bytes }) => readDocument(path, Buffer.from(bytes, 'base64')));
  }

  #documentsIn(directory: string): SignedDocument[] {
    const paths = readdirSync(join(this.#root, directory), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name).slice(this.#root.length + 1));
    return paths.toSorted().map((path) => this.#document(path));
  }

  #names(directory: string): string[] {
    try {
      return readdirSync(join(this.#root, directory)).toSorted();
    } catch {
      return [];
    }
  }
}

interface Manifest {
  readonly summary: {
    readonly id: string;
    readonly sequence: number;
    readonly rows: number;
    readonly logicalBytes: number;
    readonly storedBytes: number;
    readonly chunks: number;
    readonly epochs: readonly number[];
  };
  readonly objects: readonly ObjectReference[];
  readonly encrypted: { readonly epoch: number; readonly bytes: string };
}

function expectEqual(what: string, stated: unknown, found: unknown): void {
  if (stated !== found) throw new Error(`${what}: ${String(stated)} stated, ${String(found)} found`);
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0);
