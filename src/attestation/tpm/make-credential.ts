import { constants, createCipheriv, createHmac, publicEncrypt } from 'node:crypto';
import { sized, uint32 } from '#model/tpm/wire.ts';
import { endorsementPublicKey } from './public-area.ts';

/** What only the TPM with the endorsement key can open, and only while it holds the named object. */
export interface TpmCredential {
  /** TPM2B_ID_OBJECT, without its length. */
  readonly credentialBlob: Buffer;
  /** TPM2B_ENCRYPTED_SECRET, without its length. */
  readonly encryptedSecret: Buffer;
}

const seedBytes = 32;

/**
 * TPM2_MakeCredential without a TPM: TPM 2.0 Part 1, "Credential Protection", for an RSA 2048 endorsement key with SHA-256 and
 * AES-128-CFB. `secret` has at most 32 bytes; `seed` is 32 random ones, used once.
 */
export function makeCredential(
  endorsementArea: Buffer,
  objectName: Buffer,
  secret: Uint8Array,
  seed: Uint8Array,
): TpmCredential {
  if (seed.length !== seedBytes) throw new RangeError(`a seed has ${seedBytes} bytes`);
  const encryptedSecret = publicEncrypt(
    {
      key: endorsementPublicKey(endorsementArea),
      padding: constants.RSA_PKCS1_OAEP_PADDING,
      oaepHash: 'sha256',
      oaepLabel: Buffer.from('IDENTITY\0'),
    },
    seed,
  );
  const encryption = createCipheriv('aes-128-cfb', kdf(seed, 'STORAGE', objectName, 128), Buffer.alloc(16));
  const identity = Buffer.concat([encryption.update(sized(secret)), encryption.final()]);
  const integrity = createHmac('sha256', kdf(seed, 'INTEGRITY', Buffer.alloc(0), 256));
  const mac = integrity.update(identity).update(objectName).digest();
  return { credentialBlob: Buffer.concat([sized(mac), identity]), encryptedSecret };
}

/** KDFa (Part 1, "Key Derivation Function") with SHA-256 for at most 256 bits: one round of NIST SP 800-108 in counter mode. */
function kdf(key: Uint8Array, label: string, context: Uint8Array, bits: number): Buffer {
  const input = Buffer.concat([uint32(1), Buffer.from(`${label}\0`), context, uint32(bits)]);
  return createHmac('sha256', key)
    .update(input)
    .digest()
    .subarray(0, bits / 8);
}
