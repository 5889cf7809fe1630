import { endorsementTemplate, isEndorsementKey, nameOf } from '#attestation/tpm/public-area.ts';
import { TpmRefusal } from './response-code.ts';
import type { TpmClient } from './tpm-client.ts';
import { createPrimary, type LoadedKey } from './tpm-keys.ts';

export const endorsementHierarchy = 0x4000_000b;
/** Where firmware and operating systems keep it, if they do; making it anew gives the same key, slowly. */
const usualHandle = 0x8101_0001;

/** The key that the maker put into this TPM; it survives `tpm2_clear`. */
export async function openEndorsementKey(tpm: TpmClient): Promise<LoadedKey> {
  return (await findEndorsementKey(tpm)) ?? (await createPrimary(tpm, endorsementHierarchy, endorsementTemplate));
}

async function findEndorsementKey(tpm: TpmClient): Promise<LoadedKey | undefined> {
  try {
    const response = await tpm.run('ReadPublic', { handles: [usualHandle] });
    const publicArea = Buffer.from(response.sized());
    return isEndorsementKey(publicArea) ? { handle: usualHandle, publicArea, name: nameOf(publicArea) } : undefined;
  } catch (error) {
    if (error instanceof TpmRefusal && error.isAboutInput) return undefined;
    throw error;
  }
}
