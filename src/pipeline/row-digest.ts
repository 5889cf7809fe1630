import { hash } from 'node:crypto';

const lanes = 8;
const firstRowBytes = 4096;

/** Bytes of a key that nobody guesses. */
export const digestKeyBytes = 32;

/**
 * An order-independent digest of a multiset of rows: the sum, lane by lane modulo 2^32, of the SHA-256 of a key and every
 * row. It finds differences between what was stored and what a database gives back. Of a sum that anybody can calculate,
 * whoever chooses a few thousand rows finds another multiset; so the key is random, made for one comparison, and told to
 * nobody.
 */
export class RowDigest {
  readonly #sum = new Uint32Array(lanes);
  readonly #keyBytes: number;
  /** The key, and after it the row that is added. */
  #keyed: Buffer;

  constructor(key: Uint8Array) {
    this.#keyBytes = key.length;
    this.#keyed = Buffer.concat([key, Buffer.alloc(firstRowBytes)]);
  }

  /** Adds one row without its closing newline. */
  addRow(row: Uint8Array): void {
    const end = this.#keyBytes + row.length;
    if (end > this.#keyed.length) this.#keyed = Buffer.concat([this.#keyed, Buffer.alloc(end)]);
    this.#keyed.set(row, this.#keyBytes);
    const digest = hash('sha256', this.#keyed.subarray(0, end), 'buffer');
    for (let lane = 0; lane < lanes; lane++) this.#sum[lane]! += digest.readUInt32LE(lane * 4);
  }

  /** Adds every row of COPY text, where a newline byte only ever ends a row. Returns their number. */
  addRows(rows: Buffer): number {
    let count = 0;
    for (let begin = 0; begin < rows.length; count++) {
      const end = rows.indexOf(0x0a, begin);
      this.addRow(rows.subarray(begin, end < 0 ? rows.length : end));
      begin = end < 0 ? rows.length : end + 1;
    }
    return count;
  }

  addDigest(bytes: Uint8Array): void {
    const other = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let lane = 0; lane < lanes; lane++) this.#sum[lane]! += other.readUInt32LE(lane * 4);
  }

  /** 32 bytes. */
  bytes(): Buffer {
    const result = Buffer.alloc(lanes * 4);
    this.#sum.forEach((value, lane) => result.writeUInt32LE(value, lane * 4));
    return result;
  }
}

/** The digest of everything that the given ones, made with one key, are digests of. */
export function sumOfDigests(digests: Iterable<Uint8Array>): Buffer {
  const total = new RowDigest(new Uint8Array());
  for (const digest of digests) total.addDigest(digest);
  return total.bytes();
}
