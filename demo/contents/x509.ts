import { createPrivateKey, createPublicKey, sign, type KeyObject } from 'node:crypto';

export interface Identity {
  readonly commonName: string;
  /** Ed25519. */
  readonly privateKey: KeyObject;
}

export interface CertificateTerms {
  /** Positive, at most 20 bytes (RFC 5280 §4.1.2.2). */
  readonly serialNumber: Buffer;
  readonly notBefore: Date;
  /** Before 2050: later years need another type of time. */
  readonly notAfter: Date;
  readonly kind: 'authority' | 'application';
}

/** An Ed25519 key made of 32 bytes (RFC 8410 §7). */
export function ed25519Key(seed: Buffer): KeyObject {
  const pkcs8 = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), seed]);
  return createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' });
}

/** An X.509 version 3 certificate in DER (RFC 5280 §4.1), signed with Ed25519 (RFC 8410). */
export function issueCertificate(issuer: Identity, subject: Identity, terms: CertificateTerms): Buffer {
  const publicKey = createPublicKey(subject.privateKey).export({ format: 'der', type: 'spki' });
  const tbs = sequence(
    der(0xa0, integer(Buffer.of(2))),
    integer(terms.serialNumber),
    ed25519,
    name(issuer.commonName),
    sequence(time(terms.notBefore), time(terms.notAfter)),
    name(subject.commonName),
    publicKey,
    der(0xa3, sequence(terms.kind === 'authority' ? basicConstraints : subjectAlternativeName(subject.commonName))),
  );
  const signature = sign(null, tbs, issuer.privateKey);
  return sequence(tbs, ed25519, der(0x03, Buffer.of(0), signature));
}

function der(tag: number, ...contents: readonly Buffer[]): Buffer {
  const body = Buffer.concat(contents);
  const length = body.length < 128 ? [body.length] : [0x82, body.length >> 8, body.length & 0xff];
  return Buffer.concat([Buffer.of(tag, ...length), body]);
}

const sequence = (...members: readonly Buffer[]): Buffer => der(0x30, ...members);
const objectIdentifier = (hex: string): Buffer => der(0x06, Buffer.from(hex, 'hex'));
const octets = (contents: Buffer): Buffer => der(0x04, contents);
const text = (value: string): Buffer => der(0x0c, Buffer.from(value));
const name = (commonName: string): Buffer =>
  sequence(der(0x31, sequence(objectIdentifier('550403'), text(commonName))));

/** Of a number without a sign: a leading zero keeps it positive, and superfluous ones are not DER. */
function integer(value: Buffer): Buffer {
  const begin = value.findIndex((byte) => byte !== 0);
  const digits = value.subarray(begin);
  return digits[0]! >= 0x80 ? der(0x02, Buffer.of(0), digits) : der(0x02, digits);
}

const time = (at: Date): Buffer => der(0x17, Buffer.from(`${at.toISOString().slice(2, 19).replaceAll(/[-:T]/g, '')}Z`));

const ed25519 = sequence(objectIdentifier('2b6570'));
const isTrue = der(0x01, Buffer.of(0xff));
const basicConstraints = sequence(objectIdentifier('551d13'), isTrue, octets(sequence(isTrue)));
const subjectAlternativeName = (host: string): Buffer =>
  sequence(objectIdentifier('551d11'), octets(sequence(der(0x82, Buffer.from(host)))));
