import { X509Certificate } from 'node:crypto';
import { isEnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { certificateBlocks } from './pem.ts';
import { rejectEvidence } from './reject.ts';
import { subjectName } from './revocation-list.ts';

/** SubjectPublicKeyInfo of the Intel SGX Root CA, DER in hex (certificates.trustedservices.intel.com). */
const intelRootKey =
  '3059301306072a8648ce3d020106082a8648ce3d030107034200040ba9c4c0c0c86193a3fe23d6b02cda10a8bbd4e88e48b4458561a36e705525f567918e2edc88e40d860bd0cc4ee26aacc988e505a953558c453f6b0904ae7394';

const maxChainBytes = 32_768;
const maxCertificates = 4;

/** From the leaf to the root. */
export type CertificateChain = readonly [X509Certificate, ...X509Certificate[]];

/**
 * Reads a PEM chain, leaf first, that ends in a certificate of `rootKey`, and checks signatures, names, dates and that
 * only authorities issue. Throws `evidence-rejected`; `what` names the chain.
 */
export function readCertificateChain(
  pem: string,
  now: Date,
  what: string,
  rootKey: string = intelRootKey,
): CertificateChain {
  const [leaf, ...authorities] = readCertificates(pem, what);
  if (leaf === undefined) rejectEvidence(`${what} holds no certificate`);
  const chain = [leaf, ...authorities] as const;
  const root = chain.at(-1)!;
  if (root.publicKey.export({ type: 'spki', format: 'der' }).toString('hex') !== rootKey) {
    rejectEvidence(`${what} ends in "${subjectName(root)}", which is not the root that is trusted`);
  }
  chain.forEach((certificate, index) => {
    checkDates(certificate, now);
    const issuer = chain[index + 1] ?? certificate;
    if (!issuer.ca) rejectEvidence(`in ${what} "${subjectName(issuer)}" issues although it is no authority`);
    if (!certificate.checkIssued(issuer) || !certificate.verify(issuer.publicKey)) {
      rejectEvidence(`in ${what} "${subjectName(certificate)}" was not issued by "${subjectName(issuer)}"`);
    }
  });
  return chain;
}

/** Both chains must meet in the same place: an authority is who has its key. */
export const sameKey = (first: X509Certificate, second: X509Certificate): boolean =>
  first.publicKey.equals(second.publicKey);

function readCertificates(pem: string, what: string): X509Certificate[] {
  if (pem.length > maxChainBytes) rejectEvidence(`${what} has ${pem.length} bytes`);
  const blocks = certificateBlocks(pem);
  if (blocks.length > maxCertificates) rejectEvidence(`${what} holds ${blocks.length} certificates`);
  try {
    return blocks.map((block) => {
      const certificate = new X509Certificate(block);
      // OpenSSL decodes the key only when it is asked for.
      if (certificate.publicKey.asymmetricKeyType !== 'ec') rejectEvidence(`${what} holds a key that is not of ECDSA`);
      return certificate;
    });
  } catch (error) {
    if (isEnclaveManagerError(error)) throw error;
    rejectEvidence(`${what} holds a certificate that cannot be read`);
  }
}

function checkDates(certificate: X509Certificate, now: Date): void {
  const { validFromDate, validToDate } = certificate;
  if (now >= validFromDate && now <= validToDate) return;
  rejectEvidence(
    `the certificate "${subjectName(certificate)}" is valid from ${certificate.validFrom} to ${certificate.validTo}`,
  );
}
