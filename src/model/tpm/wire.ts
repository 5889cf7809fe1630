/** Bytes as TPM 2.0 writes them (Part 2, chapters 5 and 10): big endian, byte strings with a length of 2 bytes (TPM2B). */

export const uint8 = (value: number): Buffer => Buffer.of(value);

export function uint16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
}

export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** TPM2B: length, then the bytes. */
export const sized = (...parts: readonly Uint8Array[]): Buffer => {
  const bytes = Buffer.concat(parts);
  return Buffer.concat([uint16(bytes.length), bytes]);
};

/** What was read is not what TPM 2.0 writes. */
export class MalformedTpmBytes extends Error {
  constructor(what: string) {
    super(`malformed TPM bytes: ${what}`);
    this.name = 'MalformedTpmBytes';
  }
}

/** Reads from the front; everything it answers is a view of the bytes given. Throws `MalformedTpmBytes`. */
export class TpmReader {
  #rest: Buffer;

  constructor(bytes: Uint8Array) {
    this.#rest = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  bytes(length: number): Buffer {
    if (length > this.#rest.length) throw new MalformedTpmBytes('they end too early');
    const taken = this.#rest.subarray(0, length);
    this.#rest = this.#rest.subarray(length);
    return taken;
  }

  uint8(): number {
    return this.bytes(1).readUInt8();
  }

  uint16(): number {
    return this.bytes(2).readUInt16BE();
  }

  uint32(): number {
    return this.bytes(4).readUInt32BE();
  }

  sized(): Buffer {
    return this.bytes(this.uint16());
  }

  get remaining(): number {
    return this.#rest.length;
  }

  /** Throws when something is left over. */
  end(): void {
    if (this.#rest.length > 0) throw new MalformedTpmBytes(`${this.#rest.length} bytes too many`);
  }
}
