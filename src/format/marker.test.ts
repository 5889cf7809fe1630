import { beforeAll, describe, expect, it } from 'vitest';

import type { OpenedKeyring } from '#keys/keyring.ts';

import { newTestCluster } from './cluster-for-tests.ts';
import { encodeMarker, openMarker, readMarker } from './marker.ts';

const createdAt = new Date('2026-11-22T00:00:00.000Z');
let keyring: OpenedKeyring;
let bytes: Buffer;

beforeAll(async () => {
  ({ keyring } = await newTestCluster());
  bytes = encodeMarker(keyring, createdAt);
});

const withCode = (code: string): Error => expect.objectContaining({ code }) as Error;

describe('the marker', () => {
  it('names its cluster to anybody, and proves it to the cluster', () => {
    const marker = { formatVersion: 1, clusterId: keyring.clusterId, createdAt: '2026-11-22T00:00:00.000Z' };
    expect(readMarker(bytes)).toEqual(marker);
    expect(openMarker(keyring, bytes)).toEqual(marker);
  });

  it('of another cluster is read, and does not open', async () => {
    const other = await newTestCluster();
    expect(readMarker(encodeMarker(other.keyring, createdAt)).clusterId).toBe(other.keyring.clusterId);
    expect(() => openMarker(keyring, encodeMarker(other.keyring, createdAt))).toThrow(withCode('forged'));
  });

  it('of a newer format is refused, whichever of its two versions says so', () => {
    const inside = keyring.sign('marker', {
      formatVersion: 2,
      clusterId: keyring.clusterId,
      createdAt: createdAt.toISOString(),
    });
    const outside = Buffer.from(bytes.toString().replace('"formatVersion":1', '"formatVersion":2'));
    for (const newer of [inside, outside]) expect(() => readMarker(newer)).toThrow(withCode('version-incompatible'));
  });

  it('that names two clusters, is another document or no JSON at all is damaged', () => {
    const other = '00000000-0000-7000-8000-000000000000';
    const twofold = keyring.sign('marker', { formatVersion: 1, clusterId: other, createdAt: createdAt.toISOString() });
    const [document] = keyring.documents;
    for (const wrong of [twofold, document!.bytes, Buffer.from('<html>'), Buffer.alloc(0)]) {
      expect(() => readMarker(wrong)).toThrow(withCode('damaged'));
    }
  });
});
