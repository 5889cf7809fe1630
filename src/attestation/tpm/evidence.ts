import { z } from 'zod';
import { rejectEvidence } from '#attestation/reject.ts';
import { identityOfEndorsement, isEndorsementKey, nameOf } from './public-area.ts';
import { decodeSealed } from './sealed-layout.ts';

/** What a host with a TPM says of it when it wants to be enrolled. Nothing in it is proved before a challenge was answered. */
export interface TpmEvidence {
  /** TPMT_PUBLIC of the endorsement key. */
  readonly endorsementArea: Buffer;
  /** DER, as the maker put it into the TPM; `undefined` where it did not. */
  readonly certificate: Buffer | undefined;
}

const maxCertificateBytes = 8192;

const base64 = (maxBytes: number) =>
  z
    .base64()
    .max(Math.ceil(maxBytes / 3) * 4)
    .transform((text) => Buffer.from(text, 'base64'));

const evidenceSchema = z.strictObject({
  endorsementKey: base64(1024),
  endorsementCertificate: base64(maxCertificateBytes).nullable(),
});

export function encodeTpmEvidence({ endorsementArea, certificate }: TpmEvidence): Buffer {
  const usable = certificate !== undefined && certificate.length <= maxCertificateBytes;
  return Buffer.from(
    JSON.stringify({
      endorsementKey: endorsementArea.toString('base64'),
      endorsementCertificate: usable ? certificate.toString('base64') : null,
    }),
  );
}

export interface ClaimedNode {
  readonly hardwareIdentity: string;
  readonly sealedCredential: Uint8Array;
}

/**
 * Reads evidence and checks that it is about the node that shows it: the identity is that of the endorsement key, and what was sealed
 * is an object as Enclave Manager makes it. Answers the name of that object: whoever then answers a challenge to endorsement key
 * and name has a TPM with both. Throws `evidence-rejected`.
 */
export function readTpmEvidence(bytes: Uint8Array, node: ClaimedNode): TpmEvidence & { readonly objectName: Buffer } {
  const parsed = evidenceSchema.safeParse(parseJson(bytes));
  if (!parsed.success) rejectEvidence('the evidence of the TPM cannot be read');
  const { endorsementKey: endorsementArea, endorsementCertificate } = parsed.data;
  if (!isEndorsementKey(endorsementArea)) rejectEvidence('the endorsement key is not of the default RSA 2048 template');
  if (identityOfEndorsement(endorsementArea) !== node.hardwareIdentity) {
    rejectEvidence(`the hardware identity ${node.hardwareIdentity} is not that of the endorsement key shown`);
  }
  const sealed = decodeSealed(node.sealedCredential);
  if (sealed === undefined) rejectEvidence('the sealed credential is not one that a TPM sealed to its measurements');
  if (`tpm2:${sealed.header.endorsement.toString('hex')}` !== node.hardwareIdentity) {
    rejectEvidence('the credential was sealed by another TPM than the one shown');
  }
  const objectName = nameOf(sealed.object.public);
  return { endorsementArea, certificate: endorsementCertificate ?? undefined, objectName };
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch {
    return undefined;
  }
}
