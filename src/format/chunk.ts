/**
 * One chunk as it lies in the repository (docs/backup-format.md, "Chunks"):
 *
 *     magic "EMCH" | version u8 = 1 | compression u8 = 1 (zstd) | u16 = 0 | epoch u32 BE | nonce 12 | ciphertext | tag 16
 *
 * AES-256-GCM under the epoch's chunk key; associated data: the 24-byte header and the 32 bytes of the id.
 */
import { createCipheriv, createDecipheriv, createHash, createHmac } from 'node:crypto';
import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';

import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import type { EpochKeys } from '#keys/epoch-keys.ts';
import type { Randomness } from '#ports/randomness.ts';

const magic = 0x454d4348;
const version = 1;
const compressionZstd = 1;
const headerBytes = 24;
const nonceOffset = 12;
const nonceBytes = 12;
const tagBytes = 16;
/**
 * Output of zlib comes in buffers of one size: many small ones cost a quarter of the speed, larger ones than are filled cost
 * collections of garbage.
 */
const zstdBufferBytes = { least: 64 * 1024, most: 8 * 1024 * 1024 };

/**
 * Level 1 with tables that stay in the processor's nearest cache: rows resemble those shortly before them, and what is farther
 * away is not worth looking for (docs/decisions/041). Readers need to know none of it.
 */
const zstdParameters = {
  [constants.ZSTD_c_compressionLevel]: 1,
  [constants.ZSTD_c_windowLog]: 18,
  [constants.ZSTD_c_hashLog]: 12,
};

export interface SealedChunk {
  /** `<id>.<object>` */
  readonly objectName: string;
  readonly bytes: Buffer;
  /** SHA-256 of `bytes`, hex. */
  readonly sha256: string;
}

/** HMAC-SHA-256 of the rows under the epoch's chunk-id key, as 64 hex digits. */
export function chunkId(keys: Pick<EpochKeys, 'chunkId'>, rows: Uint8Array): string {
  return createHmac('sha256', keys.chunkId).update(rows).digest('hex');
}

/** Compresses and encrypts rows whose id was computed before. Synchronous: call it in a worker. */
export function sealChunk(
  keys: Pick<EpochKeys, 'chunk' | 'epoch'>,
  id: string,
  rows: Uint8Array,
  randomness: Randomness,
): SealedChunk {
  const header = Buffer.alloc(headerBytes);
  header.writeUInt32BE(magic, 0);
  header.writeUInt8(version, 4);
  header.writeUInt8(compressionZstd, 5);
  header.writeUInt32BE(keys.epoch, 8);
  randomness.bytes(nonceBytes).copy(header, nonceOffset);
  const compressed = zstdCompressSync(rows, {
    // Half is more than nearly all rows come to.
    chunkSize: zstdBuffer(rows.length >> 1),
    params: zstdParameters,
  });
  const cipher = createCipheriv('aes-256-gcm', keys.chunk, header.subarray(nonceOffset));
  cipher.setAAD(associatedData(header, id));
  const bytes = Buffer.concat([header, cipher.update(compressed), cipher.final(), cipher.getAuthTag()]);
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  return { objectName: `${id}.${sha256.slice(0, 16)}`, bytes, sha256 };
}

/**
 * The epoch whose keys open these bytes. Not authenticated: opening is what proves it. `name` is for messages.
 * `damaged`, or `version-incompatible` for a format newer than this program's.
 */
export function chunkEpoch(bytes: Uint8Array, name = 'object'): number {
  const stored = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (stored.length < headerBytes + tagBytes) throw damaged(name, `has only ${stored.length} bytes`);
  if (stored.readUInt32BE(0) !== magic) throw damaged(name, 'does not begin with "EMCH"');
  const found = stored.readUInt8(4);
  if (found > version) {
    throw new EnclaveManagerError(
      'version-incompatible',
      `chunk ${name} has format ${found}; this program reads ${version}`,
    );
  }
  if (found !== version) throw damaged(name, `has format ${found}`);
  if (stored.readUInt8(5) !== compressionZstd) throw damaged(name, `has compression ${stored.readUInt8(5)}`);
  if (stored.readUInt16BE(6) !== 0) throw damaged(name, 'has bytes set that are reserved');
  return stored.readUInt32BE(8);
}

/**
 * The rows, if the bytes open under these keys and the id recomputed from the rows is `id`; anything else → `damaged`.
 * Never unpacks more than `maxRowBytes`.
 */
export function openChunk(
  keys: Pick<EpochKeys, 'chunk' | 'chunkId' | 'epoch'>,
  id: string,
  bytes: Uint8Array,
  limit: { readonly maxRowBytes: number },
): Buffer {
  const epoch = chunkEpoch(bytes, id);
  if (epoch !== keys.epoch) throw damaged(id, `says epoch ${epoch} where ${keys.epoch} was expected`);
  const rows = decompress(id, decrypt(keys.chunk, id, bytes), limit.maxRowBytes);
  if (chunkId(keys, rows) !== id) throw damaged(id, 'opens, but its rows have another id');
  return rows;
}

function decrypt(key: Buffer, id: string, bytes: Uint8Array): Buffer {
  const header = bytes.subarray(0, headerBytes);
  const decipher = createDecipheriv('aes-256-gcm', key, header.subarray(nonceOffset), { authTagLength: tagBytes });
  decipher.setAAD(associatedData(header, id));
  decipher.setAuthTag(bytes.subarray(bytes.length - tagBytes));
  const compressed = decipher.update(bytes.subarray(headerBytes, bytes.length - tagBytes));
  try {
    decipher.final();
  } catch (cause) {
    throw damaged(id, 'does not decrypt: its bytes were changed, or it was stored under another name', cause);
  }
  return compressed;
}

function decompress(id: string, compressed: Buffer, maxRowBytes: number): Buffer {
  try {
    return zstdDecompressSync(compressed, {
      // One more than there should be, or a second buffer would be made to find that nothing comes.
      chunkSize: zstdBuffer(maxRowBytes + 1),
      maxOutputLength: Math.max(maxRowBytes, 1),
    });
  } catch (cause) {
    throw damaged(id, `does not unpack into at most ${maxRowBytes} bytes`, cause);
  }
}

function zstdBuffer(bytes: number): number {
  return Math.min(zstdBufferBytes.most, Math.max(zstdBufferBytes.least, bytes));
}

function associatedData(header: Uint8Array, id: string): Buffer {
  return Buffer.concat([header, Buffer.from(id, 'hex')]);
}

function damaged(name: string, what: string, cause?: unknown): EnclaveManagerError {
  return new EnclaveManagerError('damaged', `chunk ${name} ${what}`, { cause });
}
