/** Bytes that are put together piece by piece in memory that is used again. */
export class GrowingBuffer {
  bytes: Buffer;
  length = 0;

  constructor(initialBytes = 64 * 1024) {
    this.bytes = Buffer.allocUnsafe(initialBytes);
  }

  /** Room for `more` bytes behind `length`; `bytes` may be another buffer afterwards. */
  reserve(more: number): void {
    const wanted = this.length + more;
    if (wanted <= this.bytes.length) return;
    const larger = Buffer.allocUnsafe(Math.max(wanted, 2 * this.bytes.length));
    this.bytes.copy(larger, 0, 0, this.length);
    this.bytes = larger;
  }

  push(byte: number): void {
    if (this.length === this.bytes.length) this.reserve(1);
    this.bytes[this.length] = byte;
    this.length += 1;
  }

  append(source: Uint8Array, begin: number, end: number): void {
    this.reserve(end - begin);
    this.bytes.set(source.subarray(begin, end), this.length);
    this.length += end - begin;
  }

  clear(): void {
    this.length = 0;
  }
}
