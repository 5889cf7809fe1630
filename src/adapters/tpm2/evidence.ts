import { encodeTpmEvidence } from '#attestation/tpm/evidence.ts';
import type { TpmCredential } from '#attestation/tpm/make-credential.ts';
import type { Sealed } from '#attestation/tpm/sealed-layout.ts';
import type { Randomness } from '#ports/randomness.ts';
import { sized, type TpmReader, uint16, uint32 } from '#model/tpm/wire.ts';
import { endorsementHierarchy, openEndorsementKey } from './endorsement-key.ts';
import { beginPolicySession } from './policy-session.ts';
import { responseCodes, TpmRefusal } from './response-code.ts';
import { emptyPassword, type TpmClient, type TpmCommand } from './tpm-client.ts';
import { createStorageKey, loadSealedObject } from './tpm-keys.ts';

/** Where makers put the certificate of the RSA 2048 endorsement key. */
const certificateIndex = 0x01c0_0002;
const maxCertificateBytes = 8192;
const readBytes = 512;
/** TPM_RC_VALUE of a parameter. */
const formatOneValue = 0x0c4;

export async function collectEvidence(tpm: TpmClient): Promise<Buffer> {
  const { publicArea } = await openEndorsementKey(tpm);
  return encodeTpmEvidence({ endorsementArea: publicArea, certificate: await readCertificate(tpm) });
}

/** `undefined` where the maker put none there, or it may not be read. */
async function readCertificate(tpm: TpmClient): Promise<Buffer | undefined> {
  try {
    const publicArea = (await tpm.run('NV_ReadPublic', { handles: [certificateIndex] })).sized();
    // TPMS_NV_PUBLIC ends with the size of the area.
    const sizeBytes = publicArea.readUInt16BE(publicArea.length - 2);
    if (sizeBytes > maxCertificateBytes) return undefined;
    const parts: Buffer[] = [];
    for (let offset = 0; offset < sizeBytes; offset += readBytes) {
      const length = Math.min(readBytes, sizeBytes - offset);
      const response = await tpm.run('NV_Read', {
        handles: [certificateIndex, certificateIndex],
        authorizations: [emptyPassword],
        parameters: [uint16(length), uint16(offset)],
      });
      parts.push(Buffer.from(response.sized()));
    }
    return withoutPadding(Buffer.concat(parts));
  } catch (error) {
    if (error instanceof TpmRefusal) return undefined;
    throw error;
  }
}

/** Some makers fill the rest of the area; a DER sequence says how long it is. */
function withoutPadding(bytes: Buffer): Buffer {
  const isLongSequence = bytes.length > 4 && bytes[0] === 0x30 && bytes[1] === 0x82;
  return isLongSequence ? bytes.subarray(0, 4 + bytes.readUInt16BE(2)) : bytes;
}

/** TPM2_ActivateCredential; `undefined` when the credential is for another TPM, or for another object than the sealed one. */
export async function activateCredential(
  tpm: TpmClient,
  { object }: Sealed,
  { credentialBlob, encryptedSecret }: TpmCredential,
  randomness: Randomness,
): Promise<Buffer | undefined> {
  if (!isWellFormed(credentialBlob, encryptedSecret)) return undefined;
  const parent = await createStorageKey(tpm);
  try {
    const endorsement = await openEndorsementKey(tpm);
    const handle = await loadSealedObject(tpm, parent, object);
    await tpm.unload(parent.handle);
    const session = await beginPolicySession(tpm, randomness);
    await tpm.run('PolicySecret', {
      handles: [endorsementHierarchy, session.handle],
      authorizations: [emptyPassword],
      parameters: [sized(), sized(), sized(), uint32(0)],
    });
    const response = await activate(tpm, {
      handles: [handle, endorsement.handle],
      authorizations: [emptyPassword, session.handle],
      parameters: [sized(credentialBlob), sized(encryptedSecret)],
    });
    return Buffer.from(response.sized());
  } catch (error) {
    if (error instanceof TpmRefusal && error.isAboutInput) return undefined;
    throw error;
  }
}

/** swtpm calls it a failure of its own when the encrypted secret does not decrypt. */
async function activate(tpm: TpmClient, command: TpmCommand): Promise<TpmReader> {
  try {
    return await tpm.run('ActivateCredential', command);
  } catch (error) {
    if (error instanceof TpmRefusal && error.responseCode === responseCodes.failure) {
      throw new TpmRefusal('ActivateCredential', formatOneValue);
    }
    throw error;
  }
}

const integrityBytes = 32;
const rsaBytes = 256;

/** Some TPMs stop working until the next start when a structure has another length than it should. */
function isWellFormed(credentialBlob: Buffer, encryptedSecret: Buffer): boolean {
  const identityBytes = credentialBlob.length - 2 - integrityBytes;
  const hasIntegrity = identityBytes > 2 && credentialBlob.readUInt16BE(0) === integrityBytes;
  return hasIntegrity && identityBytes <= 2 + integrityBytes && encryptedSecret.length === rsaBytes;
}
