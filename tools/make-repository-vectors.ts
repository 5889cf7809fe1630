// Writes test/vectors/repository-v1/, a tiny complete repository: node tools/make-repository-vectors.ts
// Only for a new format version: what is checked in must stay readable for ever. All keys and nonces are fixed, except the
// ephemeral keys of the HPKE slots.
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { DirectoryStore } from '#adapters/filesystem/directory-store.ts';
import { chunkId, sealChunk } from '#format/chunk.ts';
import { Cutter } from '#format/cutter.ts';
import { chunkObjectPath, manifestPath, markerPath, verificationPath } from '#format/layout.ts';
import { encodeManifest, manifestTotals, type ObjectReference, type TableManifest } from '#format/manifest.ts';
import { encodeMarker } from '#format/marker.ts';
import { encodeVerification } from '#format/verification.ts';
import { openKeyring, type OpenedKeyring } from '#keys/keyring.ts';
import type { Sealing } from '#ports/sealing.ts';
import { newVectorCluster, rotated, vectorRandomness, withHost } from './vector-cluster.ts';
import { contentsOf, type VectorTable } from './vector-contents.ts';

const place = fileURLToPath(new URL('../test/vectors/repository-v1', import.meta.url));
const hostKeys = [Buffer.alloc(32, 0xa1), Buffer.alloc(32, 0xb2)] as const;

class VectorRepository {
  readonly #store: DirectoryStore;
  /** Objects by chunk id, as a backup knows them from earlier manifests. */
  readonly #known = new Map<string, ObjectReference>();
  /** Bytes of every signed document, in the order of writing. */
  readonly signed: Buffer[] = [];

  constructor(path: string) {
    this.#store = new DirectoryStore(path);
  }

  async putSigned(path: string, bytes: Buffer): Promise<void> {
    this.signed.push(bytes);
    await this.#store.put(path, bytes);
  }

  async putBackup(
    keyring: OpenedKeyring,
    id: string,
    sequence: number,
    tables: readonly VectorTable[],
  ): Promise<readonly ObjectReference[]> {
    const objects = new Map<string, ObjectReference>();
    const manifests: TableManifest[] = [];
    for (const table of tables) manifests.push(await this.#putTable(keyring, table, objects));
    const sorted = [...objects.values()].toSorted((one, other) => (one.name < other.name ? -1 : 1));
    const { clusterId, currentEpoch } = keyring;
    const startedAt = `2026-11-2${1 + sequence}T00:00:00.000Z`;
    const summary = {
      id,
      clusterId,
      kind: 'scheduled' as const,
      sequence,
      startedAt,
      endedAt: startedAt.replace('00.000Z', '01.500Z'),
      engine: 'postgresql',
      schemaVersion: 1,
      productVersion: '0.1.0',
      epochs: [currentEpoch.epoch],
      incarnation: { number: 1, random: '0011223344556677' },
      ...manifestTotals(manifests, sorted),
    };
    const migrations = [{ version: 1, checksum: 'cd'.repeat(32) }];
    const manifest = {
      summary,
      migrations,
      objects: sorted,
      keyring: keyring.documents,
      tables: manifests,
      warnings: [],
    };
    await this.putSigned(manifestPath(id), encodeManifest(keyring, manifest, vectorRandomness));
    return sorted;
  }

  async #putTable(
    keyring: OpenedKeyring,
    table: VectorTable,
    objects: Map<string, ObjectReference>,
  ): Promise<TableManifest> {
    const keys = keyring.currentEpoch;
    const pieces: { readonly rows: Buffer; readonly count: number }[] = [];
    const onChunk = (rows: Buffer, count: number): unknown => pieces.push({ rows: Buffer.from(rows), count });
    const cutter = new Cutter({ table: table.name, key: keys.cutter, keyColumns: 1, averageBytes: 1500, onChunk });
    for (const row of table.rows.map((text) => Buffer.from(text))) cutter.row(row, 0, row.length);
    cutter.finish();
    const chunks = [];
    for (const { rows, count } of pieces) {
      const id = chunkId(keys, rows);
      objects.set(id, this.#known.get(id) ?? (await this.#putChunk(keyring, id, rows)));
      chunks.push({ id, rows: count, rowBytes: rows.length });
    }
    return { name: table.name, columns: table.columns, rows: table.rows.length, chunks };
  }

  async #putChunk(keyring: OpenedKeyring, id: string, rows: Buffer): Promise<ObjectReference> {
    const { objectName, bytes, sha256 } = sealChunk(keyring.currentEpoch, id, rows, vectorRandomness);
    await this.#store.put(chunkObjectPath(objectName), bytes);
    const reference = { name: objectName, sizeBytes: bytes.length, sha256 };
    this.#known.set(id, reference);
    return reference;
  }
}

async function makeRepository(first: Sealing, second: Sealing): Promise<object> {
  const repository = new VectorRepository(join(place, 'repository'));
  const documents = await newVectorCluster(first, second);
  for (const { path, bytes } of documents) await repository.putSigned(path, bytes);
  const keyring = await openKeyring(documents, first);
  await repository.putSigned(markerPath, encodeMarker(keyring, new Date('2026-11-22T00:00:00.000Z')));

  const backups = [
    { id: '20261122T000000Z-aaaaaa', tables: contentsOf(100) },
    { id: '20261123T000000Z-bbbbbb', tables: contentsOf(130) },
    { id: '20261124T000000Z-cccccc', tables: contentsOf(140) },
  ];
  const [one, two, three] = backups as [(typeof backups)[0], (typeof backups)[0], (typeof backups)[0]];
  await repository.putBackup(keyring, one.id, 1, one.tables);
  const objects = await repository.putBackup(keyring, two.id, 2, two.tables);
  const verification = {
    verificationId: '20261123T000100Z-dddddd',
    backups: [two.id],
    level: 'new-chunks' as const,
    at: '2026-11-23T00:01:00.000Z',
    readingMs: 1_500,
    nodeId: keyring.nodeId,
    passed: true,
    objects: objects.map(({ name }) => name),
    bad: [],
    drill: null,
  };
  await repository.putSigned(verificationPath(verification.verificationId), encodeVerification(keyring, verification));

  const next = await rotated(keyring, first, repository.signed);
  for (const { path, bytes } of next) await repository.putSigned(path, bytes);
  const rotatedKeyring = await openKeyring([...documents, ...next], first);
  await repository.putBackup(rotatedKeyring, three.id, 3, three.tables);
  return expected(rotatedKeyring, backups);
}

function expected(keyring: OpenedKeyring, backups: readonly { id: string; tables: readonly VectorTable[] }[]): object {
  return {
    hostKeys: hostKeys.map((key) => key.toString('hex')),
    clusterId: keyring.clusterId,
    clusterKey: keyring.fingerprint,
    backups: backups.map(({ id, tables }) => ({
      id,
      tables: tables.map(({ name, columns, rows }) => ({
        name,
        columns: columns.map((column) => column.name),
        rows: rows.join(''),
      })),
    })),
  };
}

rmSync(place, { recursive: true, force: true });
mkdirSync(place, { recursive: true });
const result = await withHost(hostKeys[0], (first) => withHost(hostKeys[1], (second) => makeRepository(first, second)));
writeFileSync(join(place, 'expected.json'), `${JSON.stringify(result, undefined, 2)}\n`);
rmSync(join(place, 'repository/.tmp'), { recursive: true });
