import { createCipheriv, createDecipheriv, hkdfSync } from 'node:crypto';
import type { Randomness } from '#ports/randomness.ts';
import { maxSecretBytes, type Sealing } from '#ports/sealing.ts';
import { createHostKey, hostKeyMissing, readHostKey } from './host-key-file.ts';

export interface SoftwareSealingOptions {
  /** Holds the 32-byte host key; mode 0600 in a directory of mode 0700. */
  readonly keyFile: string;
  /** True on a host that was enrolled: a missing key file is then an error instead of "nothing opens here". */
  readonly keyExpected: boolean;
  readonly randomness: Randomness;
}

const version = 1;
const nonceBytes = 12;
const tagBytes = 16;

/**
 * Sealing for development: the "hardware" is a file with 32 random bytes, and whoever copies it is this host.
 * Sealed bytes: version 1 (1 byte), nonce (12), ciphertext, tag (16); AES-256-GCM under a key derived from the host key, with
 * the version byte as associated data.
 */
export function createSoftwareSealing({ keyFile, keyExpected, randomness }: SoftwareSealingOptions): Sealing {
  return {
    provider: 'software',
    provision: () => createHostKey(keyFile, randomness),
    hardwareIdentity: async () => `software:${(await derive('identity', 16)).toString('hex')}`,
    seal: async (secret) => {
      if (secret.length > maxSecretBytes) throw new RangeError(`at most ${maxSecretBytes} bytes can be sealed`);
      return encrypt(await derive('seal', 32), secret, randomness.bytes(nonceBytes));
    },
    unseal: async (sealed) => {
      const hostKey = await readHostKey(keyFile);
      if (hostKey !== undefined) return decrypt(deriveFrom(hostKey, 'seal', 32), sealed);
      if (keyExpected) throw hostKeyMissing(keyFile);
      return undefined;
    },
  };

  async function derive(purpose: string, length: number): Promise<Buffer> {
    const hostKey = await readHostKey(keyFile);
    if (hostKey === undefined) throw hostKeyMissing(keyFile);
    return deriveFrom(hostKey, purpose, length);
  }
}

function deriveFrom(hostKey: Buffer, purpose: string, length: number): Buffer {
  const derived = hkdfSync('sha256', hostKey, '', `enclave-manager/1/software-sealing/${purpose}`, length);
  hostKey.fill(0);
  return Buffer.from(derived);
}

function encrypt(key: Buffer, secret: Uint8Array, nonce: Buffer): Buffer {
  const header = Buffer.of(version);
  const cipher = createCipheriv('aes-256-gcm', key, nonce);
  cipher.setAAD(header);
  return Buffer.concat([header, nonce, cipher.update(secret), cipher.final(), cipher.getAuthTag()]);
}

function decrypt(key: Buffer, sealed: Uint8Array): Buffer | undefined {
  const tagBegin = sealed.length - tagBytes;
  const secretBytes = tagBegin - 1 - nonceBytes;
  if (sealed[0] !== version || secretBytes < 0 || secretBytes > maxSecretBytes) return undefined;
  const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(1, 1 + nonceBytes), {
    authTagLength: tagBytes,
  });
  decipher.setAAD(sealed.subarray(0, 1));
  decipher.setAuthTag(sealed.subarray(tagBegin));
  const secret = decipher.update(sealed.subarray(1 + nonceBytes, tagBegin));
  try {
    decipher.final();
    return secret;
  } catch {
    secret.fill(0);
    return undefined;
  }
}
