const idBytes = 32;

/** A set of chunk ids in one packed, sorted array, small enough to hand to every worker. */
export class KnownChunks {
  readonly #sorted: Buffer;

  constructor(packed: Uint8Array) {
    this.#sorted = Buffer.from(packed.buffer, packed.byteOffset, packed.byteLength);
  }

  /** `ids` are lower-case hex of 32 bytes. */
  static pack(ids: Iterable<string>): Uint8Array {
    return Buffer.from([...ids].toSorted().join(''), 'hex');
  }

  has(id: string): boolean {
    const wanted = Buffer.from(id, 'hex');
    let low = 0;
    let high = this.#sorted.length / idBytes - 1;
    while (low <= high) {
      const middle = (low + high) >>> 1;
      const order = wanted.compare(this.#sorted, middle * idBytes, (middle + 1) * idBytes);
      if (order === 0) return true;
      if (order < 0) high = middle - 1;
      else low = middle + 1;
    }
    return false;
  }
}
