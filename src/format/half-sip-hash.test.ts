import { readFileSync } from 'node:fs';

import { describe, expect, it } from 'vitest';

import { HalfSipHash } from './half-sip-hash.ts';

interface Vectors {
  readonly key: string;
  /** The nth is the hash of the bytes 0, 1, … n−1. */
  readonly hashes: readonly string[];
}

const vectors = JSON.parse(readFileSync('test/vectors/half-sip-hash.json', 'utf8')) as Vectors;

describe('HalfSipHash-1-3', () => {
  const hash = new HalfSipHash(Buffer.from(vectors.key, 'hex'));
  const input = new DataView(Uint8Array.from({ length: 64 }, (_, index) => index).buffer);

  it('gives the published hashes for every length from 0 to 63', () => {
    const hashes = vectors.hashes.map((_, length) => hash.hash(input, 0, length).toString(16).padStart(8, '0'));
    expect(hashes).toEqual(vectors.hashes);
    expect(hashes).toHaveLength(64);
  });

  it('hashes a part of the bytes as it hashes a copy of that part', () => {
    for (let begin = 0; begin < 20; begin += 1) {
      expect(hash.hash(input, begin, 41)).toBe(hash.hash(new DataView(input.buffer.slice(begin, 41)), 0, 41 - begin));
    }
  });

  it('depends on every byte of the key', () => {
    const hashes = new Set([hash.hash(input, 0, 16)]);
    for (let index = 0; index < 8; index += 1) {
      const key = Buffer.from(vectors.key, 'hex');
      key[index]! ^= 1;
      hashes.add(new HalfSipHash(key).hash(input, 0, 16));
    }
    expect(hashes.size).toBe(9);
  });

  it('refuses a key of another length', () => {
    expect(() => new HalfSipHash(Buffer.alloc(16))).toThrow('takes a key of 8 bytes, not 16');
  });
});
