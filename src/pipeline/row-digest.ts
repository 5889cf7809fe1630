import { hash } from 'node:crypto';

const lanes = 8;

/**
 * An order-independent digest of a multiset of rows: the sum, lane by lane modulo 2^32, of the SHA-256 of every row.
 * It finds differences between what was stored and what a database gives back; it is no defence against somebody who
 * chooses rows to collide, which authenticated chunks exclude.
 */
export class RowDigest {
  readonly #sum = new Uint32Array(lanes);

  /** Adds one row without its closing newline. */
  addRow(row: Uint8Array): void {
    const digest = hash('sha256', row, 'buffer');
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
