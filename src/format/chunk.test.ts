import { createHash, createHmac } from 'node:crypto';
import { readFileSync } from 'node:fs';

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import type { EpochKeys } from '#keys/epoch-keys.ts';

import { chunkEpoch, chunkId, openChunk, sealChunk } from './chunk.ts';
import { testRandomness } from './cluster-for-tests.ts';

function keysOf(epoch: number, fill: number): EpochKeys {
  const key = (offset: number, length = 32): Buffer => Buffer.alloc(length, fill + offset);
  return {
    epoch,
    chunkId: key(0),
    cutter: key(1, 8),
    chunk: key(2),
    manifest: key(3),
    column: key(4),
    signingKey: key(5),
  };
}

const keys = keysOf(3, 0x10);
const rows = Buffer.from(Array.from({ length: 200 }, (_, index) => `${index}\tnode-${index}\tRUNNING\n`).join(''));
const id = chunkId(keys, rows);
const { bytes, objectName, sha256 } = sealChunk(keys, id, rows, testRandomness);
const limit = { maxRowBytes: rows.length };

const damagedMessage = (work: () => unknown): string => {
  try {
    work();
  } catch (error) {
    expect(error).toMatchObject({ code: 'damaged' });
    return (error as Error).message;
  }
  throw new Error('nothing was thrown');
};

describe('a chunk', () => {
  it('opens to the rows that were sealed, for any rows', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 4000 }), (content) => {
        const contentId = chunkId(keys, content);
        const sealed = sealChunk(keys, contentId, content, testRandomness);
        expect(openChunk(keys, contentId, sealed.bytes, { maxRowBytes: content.length }).equals(content)).toBe(true);
      }),
    );
  });

  it('is identified by the keyed digest of its rows and named by the digest of its stored bytes', () => {
    expect(id).toBe(createHmac('sha256', keys.chunkId).update(rows).digest('hex'));
    expect(sha256).toBe(createHash('sha256').update(bytes).digest('hex'));
    expect(objectName).toBe(`${id}.${sha256.slice(0, 16)}`);
  });

  it('is another object each time, under the same id', () => {
    const other = sealChunk(keys, id, rows, testRandomness);
    expect(other.objectName.slice(0, 64)).toBe(id);
    expect(other.objectName).not.toBe(objectName);
    expect(openChunk(keys, id, other.bytes, limit).equals(rows)).toBe(true);
  });

  it('says in clear which epoch it needs', () => {
    expect(chunkEpoch(bytes)).toBe(3);
  });

  it('is damaged when any single bit is flipped', () => {
    fc.assert(
      fc.property(fc.nat({ max: bytes.length * 8 - 1 }), (bit) => {
        const flipped = Buffer.from(bytes);
        flipped[bit >> 3]! ^= 1 << (bit & 7);
        expect(() => openChunk(keys, id, flipped, limit)).toThrow(
          expect.objectContaining({
            code: expect.stringMatching(/^(damaged|version-incompatible)$/) as string,
          }) as Error,
        );
      }),
      { numRuns: 400 },
    );
  });

  it('is damaged when it is cut short anywhere, or longer', () => {
    for (let length = 0; length < bytes.length; length += 7) {
      expect(damagedMessage(() => openChunk(keys, id, bytes.subarray(0, length), limit))).toContain(`chunk ${id}`);
    }
    const longer = Buffer.concat([bytes, Buffer.of(0)]);
    expect(damagedMessage(() => openChunk(keys, id, longer, limit))).toContain('does not decrypt');
  });

  it('is damaged under the name of another chunk, and says which', () => {
    const otherId = chunkId(keys, Buffer.from('other\n'));
    expect(damagedMessage(() => openChunk(keys, otherId, bytes, limit))).toMatch(`chunk ${otherId} does not decrypt`);
  });

  it('is damaged when a key holder sealed other rows under its id', () => {
    const swapped = sealChunk(keys, id, Buffer.from('forged\n'), testRandomness);
    expect(damagedMessage(() => openChunk(keys, id, swapped.bytes, limit))).toContain('its rows have another id');
  });

  it('is never unpacked beyond the size that was expected', () => {
    const zeros = Buffer.alloc(64 * 1024 * 1024);
    const bomb = sealChunk(keys, id, zeros, testRandomness);
    expect(bomb.bytes.length).toBeLessThan(16 * 1024);
    expect(damagedMessage(() => openChunk(keys, id, bomb.bytes, { maxRowBytes: 1000 }))).toContain(
      'at most 1000 bytes',
    );
  });

  it('opens only with the keys of its own epoch', () => {
    expect(damagedMessage(() => openChunk(keysOf(4, 0x10), id, bytes, limit))).toContain(
      'says epoch 3 where 4 was expected',
    );
    expect(damagedMessage(() => openChunk(keysOf(3, 0x20), id, bytes, limit))).toContain('does not decrypt');
  });

  it('of a newer format is refused as such', () => {
    const newer = Buffer.from(bytes);
    newer[4] = 2;
    expect(() => openChunk(keys, id, newer, limit)).toThrow(
      expect.objectContaining({ code: 'version-incompatible' }) as Error,
    );
  });

  it('is as the test vectors say', () => {
    const { chunks } = JSON.parse(readFileSync('test/vectors/chunk.json', 'utf8')) as { chunks: ChunkVector[] };
    expect(chunks.length).toBeGreaterThan(1);
    for (const vector of chunks) {
      const vectorKeys = { ...keys, epoch: vector.epoch, chunkId: hex(vector.chunkIdKey), chunk: hex(vector.chunkKey) };
      const plain = Buffer.from(vector.rows);
      expect(chunkId(vectorKeys, plain)).toBe(vector.id);
      expect(openChunk(vectorKeys, vector.id, hex(vector.bytes), { maxRowBytes: plain.length }).toString()).toBe(
        vector.rows,
      );
      expect(`${vector.id}.${createHash('sha256').update(hex(vector.bytes)).digest('hex').slice(0, 16)}`).toBe(
        vector.objectName,
      );
    }
  });
});

const hex = (text: string): Buffer => Buffer.from(text, 'hex');

interface ChunkVector {
  readonly epoch: number;
  readonly chunkIdKey: string;
  readonly chunkKey: string;
  readonly rows: string;
  readonly id: string;
  readonly bytes: string;
  readonly objectName: string;
}
