import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { KnownChunks } from './known-chunks.ts';

const id = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => Buffer.from(bytes).toString('hex'));

describe('known chunks', () => {
  it('hold exactly the ids that were packed', () => {
    fc.assert(
      fc.property(fc.array(id), fc.array(id), (packed, others) => {
        const known = new KnownChunks(KnownChunks.pack(packed));
        for (const each of packed) expect(known.has(each)).toBe(true);
        for (const each of others) expect(known.has(each)).toBe(packed.includes(each));
      }),
    );
  });

  it('are 32 bytes an id, sorted, whatever the order they came in', () => {
    const [low, high] = ['00'.repeat(32), 'ff'.repeat(32)];
    expect(Buffer.from(KnownChunks.pack([high, low])).toString('hex')).toBe(low + high);
    expect(KnownChunks.pack([])).toHaveLength(0);
    expect(new KnownChunks(new Uint8Array()).has(low)).toBe(false);
  });

  it('are found in bytes that begin somewhere inside a larger buffer', () => {
    const packed = Buffer.concat([Buffer.alloc(7), KnownChunks.pack(['ab'.repeat(32)])]);
    const known = new KnownChunks(new Uint8Array(packed.buffer, packed.byteOffset + 7, 32));
    expect(known.has('ab'.repeat(32))).toBe(true);
    expect(known.has('00'.repeat(32))).toBe(false);
  });
});
