import { sha256Algorithm } from '#model/tpm/pcr-selection.ts';
import { sized, uint16, uint32 } from '#model/tpm/wire.ts';
import { TpmRefusal } from './response-code.ts';
import type { TpmClient } from './tpm-client.ts';
import { createPrimary, type LoadedKey, nameOf } from './tpm-keys.ts';

const endorsementHierarchy = 0x4000_000b;
/** Where firmware and operating systems keep it, if they do; making it anew gives the same key, slowly. */
const usualHandle = 0x8101_0001;
const modulusBytes = 256;

/** PolicySecret(TPM_RH_ENDORSEMENT), as the default template has it. */
const policy = Buffer.from('837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa', 'hex');

/** RSA 2048 with SHA-256 and AES-128: the default template L-1 of the TCG's EK Credential Profile, annex B.3.3. */
const beforeModulus = Buffer.concat([
  uint16(0x0001),
  uint16(sha256Algorithm),
  // fixedTPM, fixedParent, sensitiveDataOrigin, adminWithPolicy, restricted, decrypt
  uint32(0x0003_00b2),
  sized(policy),
  uint16(0x0006),
  uint16(128),
  uint16(0x0043),
  uint16(0x0010),
  uint16(modulusBytes * 8),
  uint32(0),
]);
const template = Buffer.concat([beforeModulus, sized(Buffer.alloc(modulusBytes))]);

/** The key that the maker put into this TPM; it survives `tpm2_clear`. */
export async function openEndorsementKey(tpm: TpmClient): Promise<LoadedKey> {
  return (await findEndorsementKey(tpm)) ?? (await createPrimary(tpm, endorsementHierarchy, template));
}

async function findEndorsementKey(tpm: TpmClient): Promise<LoadedKey | undefined> {
  try {
    const response = await tpm.run('ReadPublic', { handles: [usualHandle] });
    const publicArea = Buffer.from(response.sized());
    const isOne =
      publicArea.length === template.length && publicArea.subarray(0, beforeModulus.length).equals(beforeModulus);
    return isOne ? { handle: usualHandle, publicArea, name: nameOf(publicArea) } : undefined;
  } catch (error) {
    if (error instanceof TpmRefusal && error.isAboutInput) return undefined;
    throw error;
  }
}
