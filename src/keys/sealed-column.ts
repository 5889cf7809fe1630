import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import type { Randomness } from '#ports/randomness.ts';
import { nonceBytes, openBytes, sealBytes, tagBytes } from './aead.ts';
import type { EpochKeys } from './epoch-keys.ts';

/** Where a sealed value stands. It opens nowhere else. */
export interface ColumnPlace {
  readonly table: string;
  readonly column: string;
  /** The row's primary key as text. */
  readonly key: string;
}

const version = 1;
const headerBytes = 5;
export const maxColumnBytes = 1024 * 1024;

/**
 * Encrypts one value for one place in the database.
 * Layout: version 1 (1 byte), epoch (4, big endian), nonce (12), ciphertext, tag (16).
 * AES-256-GCM under the epoch's column key; associated data: table, NUL, column, NUL, key, in UTF-8.
 */
export function sealColumn(keys: EpochKeys, place: ColumnPlace, plaintext: Uint8Array, randomness: Randomness): Buffer {
  if (plaintext.length > maxColumnBytes) throw new RangeError('too long for a sealed column');
  const header = Buffer.alloc(headerBytes);
  header[0] = version;
  header.writeUInt32BE(keys.epoch, 1);
  const sealed = sealBytes(keys.column, randomness.bytes(nonceBytes), associatedBytes(place), plaintext);
  return Buffer.concat([header, sealed]);
}

/** Throws `damaged` for altered or transplanted values, `no-key` for epochs this host cannot open. */
export function openColumn(
  keyring: { epochKeys(epoch: number): EpochKeys },
  place: ColumnPlace,
  sealed: Uint8Array,
): Buffer {
  const epoch = sealedColumnEpoch(place, sealed);
  const plaintext = openBytes(keyring.epochKeys(epoch).column, associatedBytes(place), sealed.subarray(headerBytes));
  if (plaintext === undefined) throw damaged(place, 'was altered, or belongs to another row');
  return plaintext;
}

/** The epoch in the header, unauthenticated: which key a value needs. */
export function sealedColumnEpoch(place: ColumnPlace, sealed: Uint8Array): number {
  const view = Buffer.from(sealed.buffer, sealed.byteOffset, sealed.byteLength);
  const length = view.length - headerBytes - nonceBytes - tagBytes;
  if (length < 0 || length > maxColumnBytes) throw damaged(place, `has ${view.length} bytes`);
  if (view[0] !== version) throw damaged(place, `has the unknown version ${view[0]}`);
  return view.readUInt32BE(1);
}

function associatedBytes({ table, column, key }: ColumnPlace): Buffer {
  if ([table, column, key].some((part) => part.includes('\0'))) throw new RangeError('NUL in the name of a column');
  return Buffer.from(`${table}\0${column}\0${key}`, 'utf8');
}

function damaged({ table, column, key }: ColumnPlace, what: string): EnclaveManagerError {
  return new EnclaveManagerError('damaged', `The sealed value ${table}.${column} of ${key} ${what}.`);
}
