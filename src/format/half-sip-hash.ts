/**
 * HalfSipHash-1-3: 64-bit key, 32-bit result (J.-P. Aumasson, D. J. Bernstein, "SipHash: a fast short-input PRF",
 * and the 32-bit variant of their reference code). One compression round and three finalisation rounds are enough to
 * make cut points unpredictable without the key; nothing is authenticated with it.
 *
 * Allocates nothing: the state lives in local 32-bit integers, and the round stands here twice because a function could
 * only hand four words back in an object. A DataView reads a word in one instruction.
 */
export class HalfSipHash {
  readonly #k0: number;
  readonly #k1: number;

  /** `key`: 8 bytes, two little-endian words. */
  constructor(key: Uint8Array) {
    if (key.length !== 8) throw new RangeError(`HalfSipHash takes a key of 8 bytes, not ${key.length}`);
    const words = new DataView(key.buffer, key.byteOffset, key.byteLength);
    this.#k0 = words.getInt32(0, true);
    this.#k1 = words.getInt32(4, true);
  }

  /** Hash of the bytes from `begin` up to, not including, `end`, as an unsigned 32-bit integer. */
  hash(bytes: DataView, begin: number, end: number): number {
    let v0 = this.#k0;
    let v1 = this.#k1;
    let v2 = v0 ^ 0x6c796765;
    let v3 = v1 ^ 0x74656462;
    const wordsEnd = begin + ((end - begin) & ~3);
    for (let offset = begin; offset < wordsEnd; offset += 4) {
      const word = bytes.getInt32(offset, true);
      v3 ^= word;

      v0 = (v0 + v1) | 0;
      v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
      v0 = (v0 << 16) | (v0 >>> 16);
      v2 = (v2 + v3) | 0;
      v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
      v0 = (v0 + v3) | 0;
      v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
      v2 = (v2 + v1) | 0;
      v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
      v2 = (v2 << 16) | (v2 >>> 16);

      v0 ^= word;
    }

    // The last word has the remaining bytes and, on top, the length modulo 256.
    let last = (end - begin) << 24;
    for (let offset = wordsEnd, shift = 0; offset < end; offset += 1, shift += 8)
      last |= bytes.getUint8(offset) << shift;
    v3 ^= last;
    for (let round = 0; round < 4; round += 1) {
      v0 = (v0 + v1) | 0;
      v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
      v0 = (v0 << 16) | (v0 >>> 16);
      v2 = (v2 + v3) | 0;
      v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
      v0 = (v0 + v3) | 0;
      v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
      v2 = (v2 + v1) | 0;
      v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
      v2 = (v2 << 16) | (v2 >>> 16);

      if (round === 0) {
        v0 ^= last;
        v2 ^= 0xff;
      }
    }
    return (v1 ^ v3) >>> 0;
  }
}
