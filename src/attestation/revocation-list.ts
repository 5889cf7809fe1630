import { verify, type X509Certificate } from 'node:crypto';
import { childOf, derTags, hasTag, objectIdentifier, parseDer, timeOf, type DerNode } from './der.ts';
import { rejectEvidence } from './reject.ts';

/** Serial numbers that an issuer took back, as upper-case hex without leading zeros. */
export interface RevocationList {
  readonly revoked: ReadonlySet<string>;
}

const maxRevocationListBytes = 4 * 1024 * 1024;
const ecdsaWithSha256 = '1.2.840.10045.4.3.2';

/**
 * Reads a certificate revocation list (RFC 5280 §5) and checks that `issuer` signed it and that it is in force at `now`.
 * Throws `evidence-rejected`; `what` names the list.
 */
export function readRevocationList(
  bytes: Uint8Array,
  issuer: X509Certificate,
  now: Date,
  what: string,
): RevocationList {
  if (bytes.byteLength > maxRevocationListBytes) rejectEvidence(`${what} has ${bytes.byteLength} bytes`);
  const list = parseDer(bytes, what);
  if (!hasTag(list, derTags.sequence) || list.children.length !== 3)
    rejectEvidence(`${what} does not have three parts`);
  const signed = childOf(list, 0, what, derTags.sequence);
  const algorithm = objectIdentifier(childOf(childOf(list, 1, what, derTags.sequence), 0, what));
  if (algorithm !== ecdsaWithSha256) rejectEvidence(`${what} is signed by the unknown algorithm ${algorithm}`);
  const [unusedBits, ...signature] = childOf(list, 2, what, derTags.bitString).content;
  if (!verify('sha256', signed.bytes, issuer.publicKey, Buffer.from(signature)) || unusedBits !== 0) {
    rejectEvidence(`${what} is not signed by ${subjectName(issuer)}`);
  }
  // Version (an INTEGER, present where there are extensions), signature, issuer, thisUpdate, nextUpdate, entries.
  const first = signed.children[0] !== undefined && hasTag(signed.children[0], derTags.integer) ? 1 : 0;
  if (!childOf(signed, first + 1, what).bytes.equals(subjectBytes(issuer, what))) {
    rejectEvidence(`${what} names another issuer than ${subjectName(issuer)}`);
  }
  checkInForce(
    timeOf(childOf(signed, first + 2, what), what),
    timeOf(childOf(signed, first + 3, what), what),
    now,
    what,
  );
  return { revoked: new Set(revokedSerials(signed.children[first + 4], what)) };
}

/** Times outside which a signed statement says nothing. */
export function checkInForce(from: Date, to: Date, now: Date, what: string): void {
  if (now < from) rejectEvidence(`${what} is not in force before ${from.toISOString()}`);
  if (now > to) rejectEvidence(`${what} is out of date since ${to.toISOString()}`);
}

export function refuseRevoked(certificate: X509Certificate, list: RevocationList): void {
  if (list.revoked.has(serialOf(certificate.serialNumber))) {
    rejectEvidence(`the certificate "${subjectName(certificate)}" (serial ${certificate.serialNumber}) was revoked`);
  }
}

const serialOf = (hex: string): string => hex.toUpperCase().replace(/^0+/, '');

function revokedSerials(entries: DerNode | undefined, what: string): string[] {
  // Without entries the next part is the extensions, which have a tag of their own.
  if (entries === undefined || entries.tagClass !== 0) return [];
  return entries.children.map((entry) => serialOf(childOf(entry, 0, what, derTags.integer).content.toString('hex')));
}

export const subjectName = (certificate: X509Certificate): string =>
  /^CN=(.*)$/m.exec(certificate.subject)?.[1] ?? certificate.subject;

/** The subject as it stands in the certificate: version, serial, signature, issuer, validity, subject (RFC 5280 §4.1). */
function subjectBytes(certificate: X509Certificate, what: string): Buffer {
  const body = childOf(parseDer(certificate.raw, what), 0, what);
  const hasVersion = body.children[0]?.tagClass !== 0;
  return childOf(body, hasVersion ? 5 : 4, what).bytes;
}
