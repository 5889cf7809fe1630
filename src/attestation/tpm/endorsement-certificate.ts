import { X509Certificate } from 'node:crypto';
import { certificateBlocks } from '#attestation/pem.ts';
import { rejectEvidence } from '#attestation/reject.ts';
import { endorsementPublicKey } from './public-area.ts';

/** tcg-kp-EKCertificate: the issuer says of this very key that it is in a TPM. */
const endorsementKeyUsage = '2.23.133.8.1';
const maxRoots = 500;

/** Certificates of TPM makers in PEM, roots and what is between. Throws `evidence-rejected` for what is none. */
export function readTpmAuthorities(pem: string): X509Certificate[] {
  const blocks = certificateBlocks(pem);
  if (blocks.length === 0 || blocks.length > maxRoots) {
    rejectEvidence(`the certificates of TPM makers are ${blocks.length}, not 1 to ${maxRoots}`);
  }
  return blocks.map((block, index) => {
    const certificate = readCertificate(block, `certificate ${index + 1} of the TPM makers`);
    if (!certificate.ca) rejectEvidence(`certificate ${index + 1} of the TPM makers is of no authority`);
    return certificate;
  });
}

/**
 * Checks that an authority of a TPM maker certified this endorsement key: issued and signed by one of the authorities given, each
 * of which somebody chose to trust, valid now, and for an endorsement key. Throws `evidence-rejected`.
 */
export function checkEndorsementCertificate(
  der: Uint8Array,
  endorsementArea: Buffer,
  authorities: readonly X509Certificate[],
  now: Date,
): void {
  const certificate = readCertificate(der, 'the endorsement certificate');
  if (!certificate.publicKey.equals(endorsementPublicKey(endorsementArea))) {
    rejectEvidence('the endorsement certificate is for another key than the one that the TPM has');
  }
  if (certificate.ca || !(certificate.keyUsage as readonly string[] | undefined)?.includes(endorsementKeyUsage)) {
    rejectEvidence('the certificate is not one for an endorsement key');
  }
  const issuer = authorities.find((each) => certificate.checkIssued(each) && certificate.verify(each.publicKey));
  if (issuer === undefined) {
    rejectEvidence(
      `no trusted TPM maker issued the endorsement certificate; its issuer: ${oneLine(certificate.issuer)}`,
    );
  }
  for (const each of [certificate, issuer]) {
    if (now < each.validFromDate || now > each.validToDate) {
      rejectEvidence(`"${oneLine(each.subject)}" is valid from ${each.validFrom} to ${each.validTo}`);
    }
  }
}

function readCertificate(bytes: string | Uint8Array, what: string): X509Certificate {
  try {
    const certificate = new X509Certificate(bytes);
    // OpenSSL decodes the key only when it is asked for.
    void certificate.publicKey.asymmetricKeyType;
    return certificate;
  } catch {
    rejectEvidence(`${what} cannot be read`);
  }
}

const oneLine = (name: string | undefined): string => (name ?? 'nobody').replaceAll(/\s+/g, ' ').slice(0, 200);
