/**
 * The encrypted part of a manifest: JSON, zstd, AES-256-GCM under the manifest key of the newest epoch that the
 * manifest names (docs/backup-format.md, "Manifest").
 */
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';

import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { nonceBytes, openBytes, sealBytes } from '#keys/aead.ts';
import type { EpochKeys } from '#keys/epoch-keys.ts';
import { encodeFields } from '#keys/pae.ts';
import type { BackupId } from '#model/identifiers.ts';
import type { Randomness } from '#ports/randomness.ts';

import type { ManifestDetails } from './manifest-parts.ts';
import { detailsSchema } from './manifest-schema.ts';
import { checkedPayload } from './signed-payload.ts';

const maxUnpackedBytes = 256 * 1024 * 1024;

type ManifestKeys = Pick<EpochKeys, 'manifest' | 'epoch'>;

/** nonce 12 | ciphertext | tag 16 */
export function sealDetails(
  keys: ManifestKeys,
  id: BackupId,
  details: ManifestDetails,
  randomness: Randomness,
): Buffer {
  const compressed = zstdCompressSync(Buffer.from(JSON.stringify(detailsSchema.parse(details))));
  return sealBytes(keys.manifest, randomness.bytes(nonceBytes), associatedData(id, keys.epoch), compressed);
}

/** `damaged` unless it decrypts for this backup and epoch and fits the format. */
export function openDetails(keys: ManifestKeys, id: BackupId, sealed: Buffer): ManifestDetails {
  const what = `the encrypted part of backup ${id}`;
  const compressed = openBytes(keys.manifest, associatedData(id, keys.epoch), sealed);
  if (compressed === undefined) throw new EnclaveManagerError('damaged', `${what} does not decrypt`);
  return checkedPayload(detailsSchema, what, unpack(what, compressed));
}

function unpack(what: string, compressed: Buffer): unknown {
  try {
    const json = zstdDecompressSync(compressed, { maxOutputLength: maxUnpackedBytes });
    return JSON.parse(json.toString('utf8')) as unknown;
  } catch (cause) {
    throw new EnclaveManagerError('damaged', `${what} does not unpack into JSON of at most ${maxUnpackedBytes} bytes`, {
      cause,
    });
  }
}

/** PAE("enclave-manager/1/manifest", backup id, epoch) */
function associatedData(id: BackupId, epoch: number): Buffer {
  return encodeFields('enclave-manager/1/manifest', [id, epoch]);
}
