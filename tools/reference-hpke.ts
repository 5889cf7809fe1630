/**
 * HPKE base mode with X25519 and HKDF-SHA256, written from RFC 9180 alone and with an ephemeral key of the caller's choice:
 * the product's library chooses its own, so vectors could not be made with it, and it could not be checked against itself.
 */
import { createCipheriv, createHmac, createPrivateKey, createPublicKey, diffieHellman } from 'node:crypto';

export interface ReferenceSuite {
  readonly aeadId: 1 | 2;
  readonly keyBytes: 16 | 32;
}

export const aes128Gcm: ReferenceSuite = { aeadId: 1, keyBytes: 16 };
export const aes256Gcm: ReferenceSuite = { aeadId: 2, keyBytes: 32 };

interface SealInput {
  readonly suite: ReferenceSuite;
  readonly ephemeralPrivateKey: Buffer;
  readonly recipientPublicKey: Buffer;
  readonly info: Buffer;
  readonly associated: Buffer;
  readonly plaintext: Buffer;
}

const kemSuite = Buffer.concat([Buffer.from('KEM'), Buffer.of(0, 0x20)]);

/** RFC 9180 §6.1, SealBase, for the first message of a context. */
export function sealBase(input: SealInput): { encapsulatedKey: Buffer; ciphertext: Buffer } {
  const { suite, ephemeralPrivateKey, recipientPublicKey } = input;
  const encapsulatedKey = x25519PublicKey(ephemeralPrivateKey);
  const shared = sharedSecret(ephemeralPrivateKey, recipientPublicKey, encapsulatedKey);
  const hpkeSuite = Buffer.concat([Buffer.from('HPKE'), Buffer.of(0, 0x20, 0, 1, 0, suite.aeadId)]);
  const idHash = labeledExtract(hpkeSuite, '', 'psk_id_hash', Buffer.alloc(0));
  const context = Buffer.concat([Buffer.of(0), idHash, labeledExtract(hpkeSuite, '', 'info_hash', input.info)]);
  const secret = labeledExtract(hpkeSuite, shared, 'secret', Buffer.alloc(0));
  const key = labeledExpand(hpkeSuite, secret, 'key', context, suite.keyBytes);
  const nonce = labeledExpand(hpkeSuite, secret, 'base_nonce', context, 12);
  const cipher = createCipheriv(suite.keyBytes === 16 ? 'aes-128-gcm' : 'aes-256-gcm', key, nonce);
  cipher.setAAD(input.associated);
  const ciphertext = Buffer.concat([cipher.update(input.plaintext), cipher.final(), cipher.getAuthTag()]);
  return { encapsulatedKey, ciphertext };
}

export function x25519PublicKey(privateKey: Buffer): Buffer {
  const jwk = createPublicKey(x25519Key(privateKey)).export({ format: 'jwk' });
  return Buffer.from(jwk.x ?? '', 'base64url');
}

/** RFC 9180 §4.1, ExtractAndExpand of DHKEM. */
function sharedSecret(ephemeral: Buffer, recipient: Buffer, encapsulatedKey: Buffer): Buffer {
  const publicKey = createPublicKey({
    key: { kty: 'OKP', crv: 'X25519', x: recipient.toString('base64url') },
    format: 'jwk',
  });
  const dh = diffieHellman({ privateKey: x25519Key(ephemeral), publicKey });
  const prk = labeledExtract(kemSuite, '', 'eae_prk', dh);
  return labeledExpand(kemSuite, prk, 'shared_secret', Buffer.concat([encapsulatedKey, recipient]), 32);
}

function x25519Key(raw: Buffer) {
  const der = Buffer.concat([Buffer.from('302e020100300506032b656e04220420', 'hex'), raw]);
  return createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
}

/** RFC 9180 §4. */
function labeledExtract(suite: Buffer, salt: Buffer | '', label: string, material: Buffer): Buffer {
  return createHmac('sha256', salt).update('HPKE-v1').update(suite).update(label).update(material).digest();
}

/** RFC 9180 §4; one block of HKDF-Expand is enough for the lengths used here. */
function labeledExpand(suite: Buffer, key: Buffer, label: string, info: Buffer, length: number): Buffer {
  const hmac = createHmac('sha256', key).update(Buffer.of(0, length)).update('HPKE-v1').update(suite).update(label);
  return hmac.update(info).update(Buffer.of(1)).digest().subarray(0, length);
}
