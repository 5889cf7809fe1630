import { createHash, createPublicKey, type KeyObject } from 'node:crypto';
import { sha256Algorithm } from '#model/tpm/pcr-selection.ts';
import { sized, uint16, uint32 } from '#model/tpm/wire.ts';

/** TPMT_PUBLIC of the keys and objects that are used here; TPM 2.0 Part 2, chapter 12.2. */

const algorithms = { rsa: 0x0001, aes: 0x0006, keyedHash: 0x0008, null: 0x0010, ecc: 0x0023, cfb: 0x0043 } as const;
const nistP256 = 0x0003;

/** TPMA_OBJECT, TPM 2.0 Part 2, chapter 8.3. */
const attributes = {
  fixedTpm: 0x2,
  fixedParent: 0x10,
  sensitiveDataOrigin: 0x20,
  userWithAuth: 0x40,
  adminWithPolicy: 0x80,
  noDictionaryAttack: 0x400,
  restricted: 0x1_0000,
  decrypt: 0x2_0000,
} as const;

/** A key that this TPM made itself, never lets go, and uses for its own structures only. */
const storageAttributes =
  attributes.fixedTpm |
  attributes.fixedParent |
  attributes.sensitiveDataOrigin |
  attributes.restricted |
  attributes.decrypt;

/** Algorithm and digest: what policies and credentials name a key by. */
export function nameOf(publicArea: Uint8Array): Buffer {
  return Buffer.concat([uint16(sha256Algorithm), createHash('sha256').update(publicArea).digest()]);
}

/** The digest without the algorithm. */
export const digestOfName = (name: Buffer): Buffer => name.subarray(2);

/** ECC NIST P-256 storage key, as the TCG's provisioning guidance has it. */
export const storageTemplate = Buffer.concat([
  uint16(algorithms.ecc),
  uint16(sha256Algorithm),
  uint32(storageAttributes | attributes.userWithAuth | attributes.noDictionaryAttack),
  sized(),
  uint16(algorithms.aes),
  uint16(128),
  uint16(algorithms.cfb),
  uint16(algorithms.null),
  uint16(nistP256),
  uint16(algorithms.null),
  sized(Buffer.alloc(32)),
  sized(Buffer.alloc(32)),
]);

const sealedTemplate = (policy: Uint8Array, unique: Uint8Array): Buffer =>
  Buffer.concat([
    uint16(algorithms.keyedHash),
    uint16(sha256Algorithm),
    // Without userWithAuth the policy is the only way to the secret.
    uint32(attributes.fixedTpm | attributes.fixedParent | attributes.noDictionaryAttack),
    sized(policy),
    uint16(algorithms.null),
    sized(unique),
  ]);

export const newSealedTemplate = (policy: Uint8Array): Buffer => sealedTemplate(policy, Buffer.alloc(0));

const uniqueBytes = 32;

/** True for exactly what `newSealedTemplate` makes under this policy: nothing that could be duplicated, or opened by a password. */
export function isSealedUnder(publicArea: Buffer, policy: Uint8Array): boolean {
  const unique = publicArea.subarray(-uniqueBytes);
  return publicArea.length > uniqueBytes && publicArea.equals(sealedTemplate(policy, unique));
}

const modulusBytes = 256;

/** PolicySecret(TPM_RH_ENDORSEMENT), as the default template has it. */
const endorsementPolicy = Buffer.from('837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa', 'hex');

/** RSA 2048 with SHA-256 and AES-128: the default template L-1 of the TCG's EK Credential Profile, annex B.3.3. */
const beforeModulus = Buffer.concat([
  uint16(algorithms.rsa),
  uint16(sha256Algorithm),
  uint32(storageAttributes | attributes.adminWithPolicy),
  sized(endorsementPolicy),
  uint16(algorithms.aes),
  uint16(128),
  uint16(algorithms.cfb),
  uint16(algorithms.null),
  uint16(modulusBytes * 8),
  uint32(0),
  uint16(modulusBytes),
]);

export const endorsementTemplate = Buffer.concat([beforeModulus, Buffer.alloc(modulusBytes)]);

/** True for exactly what the default template makes. */
export function isEndorsementKey(publicArea: Buffer): boolean {
  return (
    publicArea.length === endorsementTemplate.length &&
    publicArea.subarray(0, beforeModulus.length).equals(beforeModulus)
  );
}

/** The RSA key; its exponent is 65537, which the template writes as 0. */
export function endorsementPublicKey(publicArea: Buffer): KeyObject {
  const n = publicArea.subarray(beforeModulus.length).toString('base64url');
  return createPublicKey({ key: { kty: 'RSA', n, e: 'AQAB' }, format: 'jwk' });
}

/** How people and slots name the hardware: by its endorsement key. */
export const identityOfEndorsement = (publicArea: Uint8Array): string =>
  `tpm2:${digestOfName(nameOf(publicArea)).toString('hex')}`;
