import { zstdCompressSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { found, spellingsOf } from './searching.ts';

const secret = Buffer.from('fba0ffee00112233445566778899aabbccddeeff0102030405060708090a0b0c', 'hex');
const noise = (length: number): Buffer => Buffer.alloc(length, 'x');

describe('the search for secrets', () => {
  it.each<[string, Buffer]>([
    ['raw', secret],
    ['hex', Buffer.from(secret.toString('hex'))],
    ['upper-case hex', Buffer.from(secret.toString('hex').toUpperCase())],
    ['base64', Buffer.from(Buffer.concat([secret, noise(5)]).toString('base64'))],
    ['base64 after a byte', Buffer.from(Buffer.concat([noise(1), secret, noise(5)]).toString('base64'))],
    ['base64 after two bytes', Buffer.from(Buffer.concat([noise(2), secret, noise(5)]).toString('base64'))],
    ['base64url', Buffer.from(Buffer.concat([noise(7), secret]).toString('base64url'))],
    ['zstd', zstdCompressSync(Buffer.concat([noise(1000), secret]))],
  ])('finds them as %s among other bytes', (_, spelled) => {
    expect(found(Buffer.concat([noise(1001), spelled, noise(0)]), spellingsOf(secret))).toBe(true);
    expect(found(Buffer.concat([noise(1001), spelled.subarray(0, 20)]), spellingsOf(secret))).toBe(false);
  });
});
