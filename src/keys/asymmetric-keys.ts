import { createHash, createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';

/** Raw Ed25519 seeds, X25519 private keys and both kinds of public key have this length (RFC 8032, RFC 7748). */
export const rawKeyBytes = 32;

// The fixed DER headers of RFC 8410 §7 (PrivateKeyInfo) and §4 (SubjectPublicKeyInfo), in front of the raw 32 bytes.
const headers = {
  ed25519: { private: '302e020100300506032b657004220420', public: '302a300506032b6570032100' },
  x25519: { private: '302e020100300506032b656e04220420', public: '302a300506032b656e032100' },
} as const;

type Curve = keyof typeof headers;

export function privateKey(curve: Curve, raw: Uint8Array): KeyObject {
  const der = Buffer.concat([Buffer.from(headers[curve].private, 'hex'), raw]);
  try {
    return createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  } finally {
    der.fill(0);
  }
}

export function publicKey(curve: Curve, raw: Uint8Array): KeyObject {
  const der = Buffer.concat([Buffer.from(headers[curve].public, 'hex'), raw]);
  return createPublicKey({ key: der, format: 'der', type: 'spki' });
}

/** The raw 32-byte public key that belongs to a raw private key. */
export function rawPublicKey(curve: Curve, rawPrivate: Uint8Array): Buffer {
  const der = createPublicKey(privateKey(curve, rawPrivate)).export({ format: 'der', type: 'spki' });
  return der.subarray(der.length - rawKeyBytes);
}

/** What people compare: `sha256:` and the base64url SHA-256 of the raw Ed25519 public key. */
export function fingerprintOf(rawVerifyKey: Uint8Array): string {
  return `sha256:${createHash('sha256').update(rawVerifyKey).digest('base64url')}`;
}
