import { beforeAll, describe, expect, it } from 'vitest';

import type { OpenedKeyring } from '#keys/keyring.ts';

import { newTestCluster } from './cluster-for-tests.ts';
import { encodeVerification, openVerification, type Verification } from './verification.ts';

const verificationId = '20261122T000100Z-aaaaaa';
const objects = ['11', '22'].map((pair) => `${pair.repeat(32)}.${pair.repeat(8)}`);
let keyring: OpenedKeyring;
let verification: Verification;

beforeAll(async () => {
  ({ keyring } = await newTestCluster());
  verification = {
    verificationId,
    backups: ['20261122T000000Z-k3f9q2'],
    level: 'new-chunks',
    at: '2026-11-22T00:01:00.000Z',
    readingMs: 1500,
    nodeId: keyring.nodeId,
    passed: true,
    objects,
    bad: [],
    drill: null,
  };
});

describe('a verification', () => {
  it('opens to what was encoded, of new chunks, of a whole backup and of a drill', async () => {
    const whole: Verification = { ...verification, level: 'all-chunks', objects: null, bad: objects, passed: false };
    const drill: Verification = { ...verification, level: 'restored', objects: null, drill: { durationMs: 1234 } };
    for (const each of [verification, whole, drill]) {
      await expect(openVerification(keyring, verificationId, encodeVerification(keyring, each))).resolves.toEqual(each);
    }
  });

  it('opens where it does not say how long the reading took, as it was written before', async () => {
    const { readingMs: _, ...before } = verification;
    const bytes = keyring.sign('verification', before);
    await expect(openVerification(keyring, verificationId, bytes)).resolves.toEqual({ ...before, readingMs: null });
  });

  it('is forged for another cluster, and damaged under another name', async () => {
    const bytes = encodeVerification(keyring, verification);
    const other = await newTestCluster();
    await expect(openVerification(other.keyring, verificationId, bytes)).rejects.toThrow(
      expect.objectContaining({ code: 'forged' }) as Error,
    );
    await expect(openVerification(keyring, '20261122T000101Z-aaaaaa', bytes)).rejects.toThrow(
      'verifications/20261122T000101Z-aaaaaa.json holds verification 20261122T000100Z-aaaaaa',
    );
  });

  it.each([
    ['no backup', { backups: [] }],
    ['unsorted objects', { objects: objects.toReversed() }],
    ['an object twice', { bad: [objects[0], objects[0]] }],
    ['an unknown level', { level: 'some-chunks' }],
    ['a negative duration', { drill: { durationMs: -1 } }],
    ['a reading that began after it', { readingMs: -1 }],
    ['a node that is no id', { nodeId: 'tokyo-1' }],
  ])('with %s is damaged', async (_, change) => {
    const bytes = keyring.sign('verification', { ...verification, ...change });
    await expect(openVerification(keyring, verificationId, bytes)).rejects.toThrow(
      expect.objectContaining({ code: 'damaged' }) as Error,
    );
  });
});
