import { createCipheriv, createDecipheriv, hkdfSync } from 'node:crypto';
import { maxSecretBytes } from '#ports/sealing.ts';

/** Which enclave on which processor sealed: what the seal key depends on, beside the processor itself. */
export interface SealingVersions {
  /** 16 bytes. */
  readonly cpuSvn: Buffer;
  readonly isvSvn: number;
  readonly isvProdId: number;
  /** 64 hex digits. */
  readonly mrSigner: string;
}

const version = 1;
/** Key policy: the key belongs to the signer of the enclave and its product id, and survives a rebuild. */
const policyMrSigner = 1;
const headerBytes = 54;
const nonceBytes = 12;
const tagBytes = 16;

/**
 * Sealed bytes: version 1, policy 1 (MRSIGNER), CPUSVN (16 bytes), ISVSVN and ISVPRODID (u16, big endian), MRSIGNER (32),
 * nonce (12), ciphertext, tag (16). AES-256-GCM under HKDF-SHA256 of the processor's key, with the first 54 bytes as
 * associated data. `docs/backup-format.md` has the same for readers.
 */
export function encodeSealed(sealKey: Buffer, versions: SealingVersions, secret: Uint8Array, nonce: Buffer): Buffer {
  const header = Buffer.alloc(headerBytes);
  header.set([version, policyMrSigner]);
  versions.cpuSvn.copy(header, 2);
  header.writeUInt16BE(versions.isvSvn, 18);
  header.writeUInt16BE(versions.isvProdId, 20);
  header.write(versions.mrSigner, 22, 'hex');
  const cipher = createCipheriv('aes-256-gcm', derive(sealKey), nonce);
  cipher.setAAD(header);
  return Buffer.concat([header, nonce, cipher.update(secret), cipher.final(), cipher.getAuthTag()]);
}

/** What the bytes say of how they were sealed; unauthenticated. `undefined` where they are not of this layout. */
export function sealedVersions(sealed: Uint8Array): SealingVersions | undefined {
  const secretBytes = sealed.length - headerBytes - nonceBytes - tagBytes;
  const isOurs = sealed[0] === version && sealed[1] === policyMrSigner;
  if (!isOurs || secretBytes < 0 || secretBytes > maxSecretBytes) return undefined;
  const header = Buffer.from(sealed.subarray(0, headerBytes));
  return {
    cpuSvn: header.subarray(2, 18),
    isvSvn: header.readUInt16BE(18),
    isvProdId: header.readUInt16BE(20),
    mrSigner: header.toString('hex', 22),
  };
}

/** `undefined` for what this key did not seal. */
export function decodeSealed(sealKey: Buffer, sealed: Uint8Array): Buffer | undefined {
  if (sealedVersions(sealed) === undefined) return undefined;
  const [nonceEnd, tagBegin] = [headerBytes + nonceBytes, sealed.length - tagBytes];
  const decipher = createDecipheriv('aes-256-gcm', derive(sealKey), sealed.subarray(headerBytes, nonceEnd), {
    authTagLength: tagBytes,
  });
  decipher.setAAD(sealed.subarray(0, headerBytes));
  decipher.setAuthTag(sealed.subarray(tagBegin));
  const secret = decipher.update(sealed.subarray(nonceEnd, tagBegin));
  try {
    decipher.final();
    return secret;
  } catch {
    secret.fill(0);
    return undefined;
  }
}

function derive(sealKey: Buffer): Buffer {
  const key = Buffer.from(hkdfSync('sha256', sealKey, '', 'enclave-manager/1/sgx-sealing/seal', 32));
  sealKey.fill(0);
  return key;
}
