/** Primitives of docs/backup-format.md with node:crypto only. Imports nothing from src, and must not. */
import {
  createDecipheriv,
  createHash,
  createHmac,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  hkdfSync,
  verify,
} from 'node:crypto';

export const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
export const hmac = (key: Uint8Array, bytes: Uint8Array): Buffer => createHmac('sha256', key).update(bytes).digest();
export const uuidBytes = (uuid: string): Buffer => Buffer.from(uuid.replaceAll('-', ''), 'hex');

export function hkdf(key: Uint8Array, salt: Uint8Array, info: string, length: number): Buffer {
  return Buffer.from(hkdfSync('sha256', key, salt, info, length));
}

export function pae(label: string, ...fields: readonly (string | number)[]): Buffer {
  const parts = fields
    .map((field) => Buffer.from(String(field)))
    .flatMap((bytes) => [Buffer.from(` ${bytes.length} `), bytes]);
  return Buffer.concat([Buffer.from(label), ...parts]);
}

/** "Sealed bytes": nonce, ciphertext, tag. `undefined` where they do not open. */
export function openSealed(key: Uint8Array, associated: Uint8Array, sealed: Buffer): Buffer | undefined {
  if (sealed.length < 28) return undefined;
  return openGcm(key, sealed.subarray(0, 12), associated, sealed.subarray(12));
}

export function openGcm(
  key: Uint8Array,
  nonce: Uint8Array,
  associated: Uint8Array,
  withTag: Buffer,
): Buffer | undefined {
  const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: 16 });
  decipher.setAAD(associated).setAuthTag(withTag.subarray(-16));
  try {
    return Buffer.concat([decipher.update(withTag.subarray(0, -16)), decipher.final()]);
  } catch {
    return undefined;
  }
}

const base64url = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64url');

export function ed25519Verifies(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: base64url(publicKey) }, format: 'jwk' });
  return verify(null, message, key, signature);
}

/** The raw public key of a raw X25519 private key, by way of its PKCS #8 form (RFC 8410 §7). */
export function x25519Public(privateKey: Uint8Array): Buffer {
  return Buffer.from(createPublicKey(x25519PrivateObject(privateKey)).export({ format: 'jwk' }).x!, 'base64url');
}

function x25519PrivateObject(privateKey: Uint8Array): ReturnType<typeof createPrivateKey> {
  const der = Buffer.concat([Buffer.from('302e020100300506032b656e04220420', 'hex'), privateKey]);
  return createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
}

const number16 = (value: number): Buffer => Buffer.of(value >> 8, value & 0xff);
const empty = Buffer.alloc(0);

/** RFC 9180 §4: LabeledExtract and LabeledExpand. At most 32 bytes are ever expanded, which is one block of HKDF-Expand. */
function labeled(suite: Buffer): {
  extract(salt: Uint8Array, label: string, material: Uint8Array): Buffer;
  expand(key: Uint8Array, label: string, info: Uint8Array, length: number): Buffer;
} {
  const prefix = (label: string): Buffer => Buffer.concat([Buffer.from('HPKE-v1'), suite, Buffer.from(label)]);
  return {
    extract: (salt, label, material) =>
      hmac(salt.length === 0 ? Buffer.alloc(32) : salt, Buffer.concat([prefix(label), material])),
    expand: (key, label, info, length) =>
      hmac(key, Buffer.concat([number16(length), prefix(label), info, Buffer.of(1)])).subarray(0, length),
  };
}

/** RFC 9180, base mode, single shot: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM, empty associated data. */
export function hpkeOpen(
  privateKey: Uint8Array,
  encapsulated: Buffer,
  info: Buffer,
  ciphertext: Buffer,
): Buffer | undefined {
  const encapsulatedKey = createPublicKey({
    key: { kty: 'OKP', crv: 'X25519', x: base64url(encapsulated) },
    format: 'jwk',
  });
  const shared = diffieHellman({ privateKey: x25519PrivateObject(privateKey), publicKey: encapsulatedKey });
  const kem = labeled(Buffer.concat([Buffer.from('KEM'), number16(0x0020)]));
  const context = Buffer.concat([encapsulated, x25519Public(privateKey)]);
  const sharedSecret = kem.expand(kem.extract(empty, 'eae_prk', shared), 'shared_secret', context, 32);
  const suite = labeled(Buffer.concat([Buffer.from('HPKE'), number16(0x0020), number16(0x0001), number16(0x0002)]));
  const schedule = Buffer.concat([
    Buffer.of(0),
    suite.extract(empty, 'psk_id_hash', empty),
    suite.extract(empty, 'info_hash', info),
  ]);
  const secret = suite.extract(sharedSecret, 'secret', empty);
  const key = suite.expand(secret, 'key', schedule, 32);
  return openGcm(key, suite.expand(secret, 'base_nonce', schedule, 12), empty, ciphertext);
}
