import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { timedId } from '#model/identifiers.ts';
import { isObjectKey } from '#ports/object-key.ts';

import {
  chunkObjectPath,
  chunkPrefix,
  manifestPath,
  parseChunkObjectPath,
  parseManifestPath,
  parseObjectName,
  parseVerificationPath,
  verificationPath,
} from './layout.ts';

const hex = (length: number): fc.Arbitrary<string> =>
  fc.uint8Array({ minLength: length / 2, maxLength: length / 2 }).map((bytes) => Buffer.from(bytes).toString('hex'));
const timedIds = fc
  .tuple(
    fc.date({ min: new Date('2000-01-01'), max: new Date('2200-01-01'), noInvalidDate: true }),
    fc.uint8Array({ minLength: 6, maxLength: 6 }),
  )
  .map(([now, random]) => timedId(now, random));

describe('the layout', () => {
  it('gives every object name a path that is an object key and leads back to it', () => {
    fc.assert(
      fc.property(hex(64), hex(16), (id, object) => {
        const path = chunkObjectPath(`${id}.${object}`);
        expect(isObjectKey(path)).toBe(true);
        expect(path.startsWith(chunkPrefix(id))).toBe(true);
        expect(parseChunkObjectPath(path)).toBe(`${id}.${object}`);
        expect(parseObjectName(`${id}.${object}`)).toEqual({ id, object });
      }),
    );
  });

  it('gives every timed id a path that is an object key and leads back to it', () => {
    fc.assert(
      fc.property(timedIds, (id) => {
        expect(isObjectKey(manifestPath(id)) && isObjectKey(verificationPath(id))).toBe(true);
        expect(parseManifestPath(manifestPath(id))).toBe(id);
        expect(parseVerificationPath(verificationPath(id))).toBe(id);
      }),
    );
  });

  const id = 'ab'.repeat(32);
  it.each([
    `chunks/ab/${id}`,
    `chunks/ac/${id}.0123456789abcdef`,
    `chunks/ab/${id}.0123456789abcdeg`,
    `chunks/ab/${id}.0123456789ABCDEF`,
    `chunks/${id}.0123456789abcdef`,
    `x/chunks/ab/${id}.0123456789abcdef`,
  ])('does not take %s for a chunk', (path) => {
    expect(parseChunkObjectPath(path)).toBeUndefined();
  });

  it.each([
    'backups/x.json',
    'backups/20261122T000000Z-k3f9q2',
    'verifications/20261122T000000Z-k3f9q2.json',
    'backups/a/20261122T000000Z-k3f9q2.json',
  ])('does not take %s for a manifest', (path) => {
    expect(parseManifestPath(path)).toBeUndefined();
  });
});
