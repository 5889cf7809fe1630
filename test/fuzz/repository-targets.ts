import { createHmac } from 'node:crypto';
import { zstdCompressSync } from 'node:zlib';
import { openChunk, sealChunk } from '#format/chunk.ts';
import { testRandomness } from '#format/cluster-for-tests.ts';
import { openCondemned } from '#format/condemned.ts';
import { openDetails } from '#format/manifest-details.ts';
import { encodeManifest, openManifest, readManifestSummary, type Manifest } from '#format/manifest.ts';
import { encodeMarker, openMarker, readMarker } from '#format/marker.ts';
import { openVerification } from '#format/verification.ts';
import { nonceBytes, sealBytes } from '#keys/aead.ts';
import { type KeyringDocument, openKeyring } from '#keys/keyring.ts';
import { encodeFields } from '#keys/pae.ts';
import { openColumn, sealColumn } from '#keys/sealed-column.ts';
import type { DocumentType } from '#keys/signed-document.ts';
import { memorySealing, newTestCluster, payloadOf, secretsOf } from '../../src/keys/keyring.fixture.ts';
import { signText } from './sign-text.ts';
import { type Target, damaged, json } from './target.ts';

const backupId = '20261122T000000Z-aaaaaa';

export async function repositoryTargets(): Promise<Target[]> {
  const documents = await newTestCluster('a', 'b');
  const keyring = await openKeyring(documents, memorySealing('a'));
  const signer = (await secretsOf(documents, memorySealing('a'))).signers.get(1)!;
  const keys = keyring.currentEpoch;
  const rows = Buffer.from('1\tone\n2\t\\N\n');
  const id = createHmac('sha256', keys.chunkId).update(rows).digest('hex');
  const chunk = sealChunk(keys, id, rows, testRandomness);
  const manifest = sampleManifest(keyring.clusterId, id, chunk, documents);
  const stored = encodeManifest(keyring, manifest, testRandomness);
  const payload = (bytes: Buffer): Buffer => json(payloadOf({ bytes }));
  const signed = (type: DocumentType, input: Buffer): Buffer => signText(keyring.clusterId, type, input, signer);
  const marker = encodeMarker(keyring, new Date('2026-11-22T00:00:00Z'));
  const nodeId = keyring.nodeId;
  const verification = {
    verificationId: backupId,
    backups: [backupId],
    level: 'new-chunks',
    at: '2026-11-22T00:00:00.000Z',
    nodeId,
    passed: true,
    objects: [chunk.objectName],
    bad: [],
    drill: null,
  };
  const condemned = { condemnedId: backupId, at: '2026-11-22T00:00:00.000Z', nodeId, objects: [chunk.objectName] };
  const place = encodeFields('enclave-manager/1/manifest', [backupId, 1]);
  const seal = (bytes: Buffer): Buffer => sealBytes(keys.manifest, testRandomness.bytes(nonceBytes), place, bytes);
  const details = { tables: manifest.tables, warnings: ['a warning'] };
  const column = { table: 'settings', column: 'sealed_secret', key: 'k' };
  return [
    {
      name: 'manifest',
      seeds: [stored],
      json: true,
      codes: [...damaged, 'forged'],
      read: (input) => [readManifestSummary(input), openManifest(keyring, backupId, input)],
    },
    {
      name: 'manifest-signed',
      seeds: [payload(stored)],
      json: true,
      codes: [...damaged, 'forged', 'no-key'],
      read: (input) => openManifest(keyring, backupId, signed('manifest', input)),
    },
    {
      name: 'manifest-details',
      seeds: [json(details)],
      json: true,
      codes: damaged,
      read: (input) => openDetails(keys, backupId, seal(zstdCompressSync(input))),
    },
    {
      name: 'manifest-details-packed',
      seeds: [zstdCompressSync(json(details))],
      json: false,
      codes: damaged,
      read: (input) => openDetails(keys, backupId, seal(input)),
    },
    {
      name: 'marker',
      seeds: [marker],
      json: true,
      codes: [...damaged, 'forged'],
      read: (input) => [readMarker(input), openMarker(keyring, input)],
    },
    {
      name: 'marker-signed',
      seeds: [payload(marker)],
      json: true,
      codes: damaged,
      read: (input) => [readMarker(signed('marker', input)), openMarker(keyring, signed('marker', input))],
    },
    {
      name: 'verification-signed',
      seeds: [json(verification), json({ ...verification, objects: null, drill: { durationMs: 5 } })],
      json: true,
      codes: damaged,
      read: (input) => openVerification(keyring, backupId, signed('verification', input)),
    },
    {
      name: 'condemned-signed',
      seeds: [json(condemned)],
      json: true,
      codes: damaged,
      read: (input) => openCondemned(keyring, backupId, signed('condemned', input)),
    },
    {
      name: 'chunk',
      seeds: [chunk.bytes],
      json: false,
      codes: damaged,
      read: (input) => openChunk(keys, id, input, { maxRowBytes: rows.length }),
    },
    {
      name: 'sealed-column',
      seeds: [sealColumn(keys, column, Buffer.from('secret'), testRandomness)],
      json: false,
      codes: ['damaged', 'no-key'],
      read: (input) => openColumn(keyring, column, input),
    },
  ];
}

function sampleManifest(
  clusterId: string,
  id: string,
  chunk: { readonly objectName: string; readonly bytes: Buffer; readonly sha256: string },
  documents: readonly KeyringDocument[],
): Manifest {
  const rowBytes = 12;
  return {
    summary: {
      id: backupId,
      clusterId,
      kind: 'manual',
      sequence: 1,
      rows: 2,
      logicalBytes: rowBytes,
      chunks: 1,
      startedAt: '2026-11-22T00:00:00.000Z',
      endedAt: '2026-11-22T00:00:01.000Z',
      storedBytes: chunk.bytes.length,
      engine: 'postgresql 18',
      schemaVersion: 1,
      productVersion: '0.1.0',
      epochs: [1],
      incarnation: { number: 1, random: '0123456789abcdef' },
    },
    migrations: [{ version: 1, checksum: 'ab'.repeat(32) }],
    objects: [{ name: chunk.objectName, sizeBytes: chunk.bytes.length, sha256: chunk.sha256 }],
    keyring: documents.toSorted((a, b) => (a.path < b.path ? -1 : 1)),
    tables: [
      {
        name: 'users',
        columns: [
          { name: 'id', type: 'int8' },
          { name: 'name', type: 'text' },
        ],
        rows: 2,
        chunks: [{ id, rows: 2, rowBytes }],
      },
    ],
    warnings: [],
  };
}
