import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { DirectoryStore } from '#adapters/filesystem/directory-store.ts';
import { createSoftwareSealing } from '#adapters/software/software-sealing.ts';
import { openChunk } from '#format/chunk.ts';
import {
  chunkObjectPath,
  keyringPrefix,
  manifestPath,
  markerPath,
  parseManifestPath,
  verificationPath,
} from '#format/layout.ts';
import { openManifest, readManifestSummary, type TableManifest } from '#format/manifest.ts';
import { openMarker } from '#format/marker.ts';
import { openVerification } from '#format/verification.ts';
import { type KeyringDocument, openKeyring, type OpenedKeyring } from '#keys/keyring.ts';
import type { ObjectStore } from '#ports/object-store.ts';

interface Expected {
  readonly hostKeys: readonly string[];
  readonly clusterId: string;
  readonly clusterKey: string;
  readonly backups: readonly {
    readonly id: string;
    readonly tables: readonly { readonly name: string; readonly rows: string }[];
  }[];
}

const vectors = 'test/vectors/repository-v1';
const expected = JSON.parse(readFileSync(`${vectors}/expected.json`, 'utf8')) as Expected;
const limit = { maxBytes: 1024 * 1024 };

async function readAll(store: ObjectStore, prefix: string): Promise<KeyringDocument[]> {
  const documents: KeyringDocument[] = [];
  for await (const { key } of store.list(prefix)) documents.push({ path: key, bytes: (await store.get(key, limit))! });
  return documents;
}

async function rowsOf(
  store: ObjectStore,
  keyring: OpenedKeyring,
  table: TableManifest,
  objects: ReadonlyMap<string, string>,
): Promise<string> {
  const parts: Buffer[] = [];
  for (const { id, rowBytes } of table.chunks) {
    const bytes = (await store.get(chunkObjectPath(objects.get(id)!), limit))!;
    const keys = keyring.epochKeys(bytes.readUInt32BE(8));
    parts.push(openChunk(keys, id, bytes, { maxRowBytes: rowBytes }));
  }
  return Buffer.concat(parts).toString();
}

describe.each(expected.hostKeys.map((hostKey, index) => ({ hostKey, host: index + 1 })))(
  'the repository that was written by format version 1, on host $host',
  ({ hostKey }) => {
    let directory: string;
    let store: DirectoryStore;
    let keyring: OpenedKeyring;

    beforeAll(async () => {
      directory = mkdtempSync(join(tmpdir(), 'enclave-manager-vectors-'));
      cpSync(`${vectors}/repository`, join(directory, 'repository'), { recursive: true });
      writeFileSync(join(directory, 'host.key'), Buffer.from(hostKey, 'hex'), { mode: 0o600 });
      store = new DirectoryStore(join(directory, 'repository'));
      const randomness = { bytes: (length: number) => Buffer.alloc(length) };
      const sealing = createSoftwareSealing({ keyFile: join(directory, 'host.key'), keyExpected: true, randomness });
      keyring = await openKeyring(await readAll(store, keyringPrefix), sealing);
    });

    afterAll(() => {
      rmSync(directory, { recursive: true });
    });

    it('is that of the expected cluster, with two nodes and nothing set aside', async () => {
      expect({ clusterId: keyring.clusterId, clusterKey: keyring.fingerprint }).toEqual({
        clusterId: expected.clusterId,
        clusterKey: expected.clusterKey,
      });
      expect(keyring.rejected).toEqual([]);
      expect(keyring.membership.nodes.map(({ name }) => name)).toEqual(['tokyo-1', 'osaka-1']);
      for (const { nodeId } of keyring.membership.nodes) expect([...keyring.epochsOpenableBy(nodeId)]).toEqual([1, 2]);
      expect(openMarker(keyring, (await store.get(markerPath, limit))!).clusterId).toBe(expected.clusterId);
    });

    it('holds every backup, row for row', async () => {
      const manifests = await readAll(store, 'backups/');
      expect(manifests.map(({ path }) => parseManifestPath(path))).toEqual(expected.backups.map(({ id }) => id));
      for (const { id, tables } of expected.backups) {
        const bytes = (await store.get(manifestPath(id), limit))!;
        const manifest = openManifest(keyring, id, bytes);
        const objects = new Map(manifest.objects.map(({ name }) => [name.slice(0, 64), name]));
        const read = manifest.tables.map(async (table) => ({
          name: table.name,
          rows: await rowsOf(store, keyring, table, objects),
        }));
        expect(await Promise.all(read)).toEqual(tables.map(({ name, rows }) => ({ name, rows })));
        expect(readManifestSummary(bytes).summary).toEqual(manifest.summary);
      }
    });

    it('shares the chunks of unchanged rows between backups of one epoch', async () => {
      const names = expected.backups.map(async ({ id }) =>
        readManifestSummary((await store.get(manifestPath(id), limit))!).objects.map(({ name }) => name),
      );
      const [first, second, third] = (await Promise.all(names)) as [string[], string[], string[]];
      expect(first.filter((name) => second.includes(name)).length).toBeGreaterThanOrEqual(first.length - 1);
      expect(third.filter((name) => second.includes(name))).toEqual([]);
    });

    it('has a verification that the key generation after it accepts', async () => {
      const [document] = await readAll(store, 'verifications/');
      const verification = await openVerification(keyring, '20261123T000100Z-dddddd', document!.bytes);
      expect(document!.path).toBe(verificationPath(verification.verificationId));
      expect(verification).toMatchObject({ level: 'new-chunks', passed: true, backups: ['20261123T000000Z-bbbbbb'] });
    });
  },
);
