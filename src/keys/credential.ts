import { type ClusterId, formatUuid, uuidBytes } from '#model/identifiers.ts';
import { rawKeyBytes } from './asymmetric-keys.ts';

/** What a host's hardware seals: enough to tell its cluster's genuine documents from forged ones, and to open its slots. */
export interface CredentialSecret {
  /** Raw X25519 private key, 32 bytes. */
  readonly privateKey: Buffer;
  readonly clusterId: ClusterId;
  /** Raw Ed25519 public key of `keyGeneration`, 32 bytes. */
  readonly clusterVerifyKey: Buffer;
  readonly keyGeneration: number;
}

const version = 1;
const credentialSecretBytes = 1 + rawKeyBytes + 16 + rawKeyBytes + 4;

/** Layout: version 1 (1 byte), X25519 private key (32), cluster id (16), cluster verify key (32), generation (4, big endian). */
export function encodeCredentialSecret(secret: CredentialSecret): Buffer {
  const bytes = Buffer.alloc(credentialSecretBytes);
  bytes[0] = version;
  bytes.set(secret.privateKey, 1);
  bytes.set(uuidBytes(secret.clusterId), 33);
  bytes.set(secret.clusterVerifyKey, 49);
  bytes.writeUInt32BE(secret.keyGeneration, 81);
  return bytes;
}

/** `undefined` for anything that is not a version 1 credential. The answer does not share memory with `bytes`. */
export function decodeCredentialSecret(bytes: Uint8Array): CredentialSecret | undefined {
  if (bytes.length !== credentialSecretBytes || bytes[0] !== version) return undefined;
  const copy = Buffer.from(bytes);
  const keyGeneration = copy.readUInt32BE(81);
  if (keyGeneration === 0) return undefined;
  return {
    privateKey: copy.subarray(1, 33),
    clusterId: formatUuid(copy.subarray(33, 49)),
    clusterVerifyKey: copy.subarray(49, 81),
    keyGeneration,
  };
}
