/** An attestation world with a root of its own: everything that Intel and a platform would sign, made and signed here. */
import { createHash, generateKeyPairSync, sign, X509Certificate, type KeyObject } from 'node:crypto';
import type { Collateral } from './collateral.ts';
import type { TcbStatus } from './tcb-level.ts';

export const madeAt = new Date('2026-06-01T00:00:00Z');
const from = new Date('2026-05-01T00:00:00Z');
const to = new Date('2026-07-01T00:00:00Z');

export interface MadeTerms {
  readonly revoked: 'nothing' | 'platform' | 'authority' | 'tcb-signer';
  readonly reportData: Buffer;
  readonly debug: boolean;
  readonly ppid: Buffer;
  readonly cpuSvn: Buffer;
  readonly mrSigner: Buffer;
  readonly isvSvn: number;
  readonly fmspc: string;
  readonly componentSvn: number;
  readonly tcbStatus: TcbStatus;
  readonly quotingEnclaveSvn: number;
  readonly quotingEnclaveMiscSelect: number;
  /** Who signs TCB info; anybody but the TCB signing certificate must be refused. */
  readonly tcbSignerName: string;
  readonly nextUpdate: Date;
  /** Issues the revocation list of the platforms. */
  readonly listAuthority: 'same' | 'other';
}

const usual: MadeTerms = {
  revoked: 'nothing',
  reportData: Buffer.alloc(64, 7),
  debug: false,
  ppid: Buffer.alloc(16, 0xd0),
  cpuSvn: Buffer.alloc(16, 5),
  mrSigner: Buffer.alloc(32, 0x51),
  isvSvn: 3,
  fmspc: '00a067110000',
  componentSvn: 5,
  tcbStatus: 'UpToDate',
  quotingEnclaveSvn: 8,
  quotingEnclaveMiscSelect: 0,
  tcbSignerName: 'Intel SGX TCB Signing',
  nextUpdate: to,
  listAuthority: 'same',
};

interface Authority {
  readonly name: string;
  readonly key: KeyObject;
  readonly publicKey: KeyObject;
  readonly certificate: Buffer;
  readonly serial: number;
}

export interface MadePlatform {
  readonly quote: Buffer;
  readonly collateral: Collateral;
  /** SubjectPublicKeyInfo of the root, in hex. */
  readonly rootKey: string;
}

/** Intel's part, so that several platforms are of one world. */
export function makeWorld() {
  const root = authority('Intel SGX Root CA', 1, undefined);
  const platformCa = authority('Intel SGX PCK Processor CA', 2, root);
  return { root, platformCa, otherCa: authority('Intel SGX PCK Platform CA', 3, root) };
}

export function makePlatform(changes: Partial<MadeTerms> = {}, world = makeWorld()): MadePlatform {
  const { root, platformCa, otherCa } = world;
  const terms = { ...usual, ...changes };
  const signer = authority(terms.tcbSignerName, 4, root, { ca: false });
  const pck = authority('Intel SGX PCK Certificate', 5, platformCa, { ca: false, extension: sgxExtension(terms) });
  const lister = terms.listAuthority === 'same' ? platformCa : otherCa;
  const rootList = revocationList(
    root,
    terms.revoked === 'authority' ? [2] : terms.revoked === 'tcb-signer' ? [4] : [],
  );
  const signed = (value: object) => signJson(JSON.stringify(value), signer);
  const tcbInfo = signed(tcbInfoOf(terms));
  const identity = signed(identityOf(terms));
  return {
    quote: makeQuote(terms, pck, [pck, platformCa, root]),
    rootKey: root.publicKey.export({ type: 'spki', format: 'der' }).toString('hex'),
    collateral: {
      pck_crl_issuer_chain: pem(lister, root),
      root_ca_crl: rootList.toString('hex'),
      pck_crl: revocationList(lister, terms.revoked === 'platform' ? [5] : []).toString('hex'),
      tcb_info_issuer_chain: pem(signer, root),
      tcb_info: tcbInfo.text,
      tcb_info_signature: tcbInfo.signature,
      qe_identity_issuer_chain: pem(signer, root),
      qe_identity: identity.text,
      qe_identity_signature: identity.signature,
    },
  };
}

const quotingEnclaveSigner = Buffer.alloc(32, 0x8c);

function tcbInfoOf({ fmspc, tcbStatus, nextUpdate }: MadeTerms): object {
  const level = (svn: number, status: TcbStatus, advisoryIDs: string[]) => ({
    tcb: { sgxtcbcomponents: Array.from({ length: 16 }, () => ({ svn })), pcesvn: 10 },
    tcbStatus: status,
    advisoryIDs,
  });
  return {
    id: 'SGX',
    version: 3,
    issueDate: from.toISOString(),
    nextUpdate: nextUpdate.toISOString(),
    fmspc,
    pceId: '0000',
    tcbLevels: [level(5, tcbStatus, []), level(2, 'OutOfDate', ['INTEL-SA-00002'])],
  };
}

function identityOf({ nextUpdate }: MadeTerms): object {
  return {
    id: 'QE',
    version: 2,
    issueDate: from.toISOString(),
    nextUpdate: nextUpdate.toISOString(),
    miscselect: '00000001',
    miscselectMask: 'FFFFFFFE',
    attributes: '11000000000000000000000000000000',
    attributesMask: 'FBFFFFFFFFFFFFFF0000000000000000',
    mrsigner: quotingEnclaveSigner.toString('hex'),
    isvprodid: 1,
    tcbLevels: [
      { tcb: { isvsvn: 8 }, tcbStatus: 'UpToDate' },
      { tcb: { isvsvn: 6 }, tcbStatus: 'OutOfDate', advisoryIDs: ['INTEL-SA-00001'] },
    ],
  };
}

function makeQuote(terms: MadeTerms, pck: Authority, chain: readonly Authority[]): Buffer {
  const header = Buffer.alloc(48);
  header.writeUInt16LE(3, 0);
  header.writeUInt16LE(2, 2);
  header.write('939a7233f79c4ca9940a0db3957f0607', 12, 'hex');
  const { mrSigner, isvSvn, cpuSvn, reportData, debug } = terms;
  const body = report({ mrSigner, isvProdId: 1, isvSvn, cpuSvn, reportData, flags: debug ? 0x07 : 0x05 });
  const attestation = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const { x = '', y = '' } = attestation.publicKey.export({ format: 'jwk' });
  const attestationKey = Buffer.concat([Buffer.from(x, 'base64url'), Buffer.from(y, 'base64url')]);
  const auth = Buffer.from('auth');
  const enclave = report({
    mrSigner: quotingEnclaveSigner,
    isvProdId: 1,
    isvSvn: terms.quotingEnclaveSvn,
    cpuSvn,
    reportData: Buffer.concat([createHash('sha256').update(attestationKey).update(auth).digest(), Buffer.alloc(32)]),
    flags: 0x11,
    miscSelect: terms.quotingEnclaveMiscSelect,
  });
  const certificates = Buffer.from(`${pem(...chain)}\0`);
  const signed = Buffer.concat([header, body]);
  const data = Buffer.concat([
    rawSignature(signed, attestation.privateKey),
    attestationKey,
    enclave,
    rawSignature(enclave, pck.key),
    u16(auth.length),
    auth,
    u16(5),
    u32(certificates.length),
    certificates,
  ]);
  return Buffer.concat([signed, u32(data.length), data]);
}

interface ReportTerms extends Pick<MadeTerms, 'mrSigner' | 'isvSvn' | 'cpuSvn' | 'reportData'> {
  readonly isvProdId: number;
  readonly flags: number;
  readonly miscSelect?: number;
}

function report({ mrSigner, isvProdId, isvSvn, cpuSvn, reportData, flags, miscSelect = 0 }: ReportTerms): Buffer {
  const bytes = Buffer.alloc(384);
  cpuSvn.copy(bytes, 0);
  bytes.writeUInt32LE(miscSelect, 16);
  bytes[48] = flags;
  bytes.fill(0xee, 64, 96);
  mrSigner.copy(bytes, 128);
  bytes.writeUInt16LE(isvProdId, 256);
  bytes.writeUInt16LE(isvSvn, 258);
  reportData.copy(bytes, 320);
  return bytes;
}

function signJson(text: string, { key }: Authority): { readonly text: string; readonly signature: string } {
  return { text, signature: rawSignature(Buffer.from(text), key).toString('hex') };
}

const rawSignature = (bytes: Buffer, key: KeyObject): Buffer =>
  sign('sha256', bytes, { key, dsaEncoding: 'ieee-p1363' });

function u16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16LE(value);
  return bytes;
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

const pem = (...chain: readonly Authority[]): string =>
  chain.map(({ certificate }) => new X509Certificate(certificate).toString()).join('');

function authority(
  name: string,
  serial: number,
  issuer: Authority | undefined,
  more: { readonly ca?: boolean; readonly extension?: Buffer } = {},
): Authority {
  const { privateKey: key, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const constraints = sequence(
    oid('2.5.29.19'),
    der(0x01, Buffer.of(0xff)),
    der(0x04, sequence(der(0x01, Buffer.of(0xff)))),
  );
  const extensions = [
    ...(more.ca === false ? [] : [constraints]),
    ...(more.extension === undefined ? [] : [more.extension]),
  ];
  const body = sequence(
    der(0xa0, integer(2)),
    integer(serial),
    ecdsaWithSha256,
    distinguishedName(issuer?.name ?? name),
    sequence(utcTime(from), utcTime(to)),
    distinguishedName(name),
    publicKey.export({ type: 'spki', format: 'der' }),
    ...(extensions.length === 0 ? [] : [der(0xa3, sequence(...extensions))]),
  );
  return { name, key, publicKey, serial, certificate: signedStructure(body, issuer?.key ?? key) };
}

function revocationList(issuer: Authority, serials: readonly number[]): Buffer {
  const entries = serials.map((serial) => sequence(integer(serial), utcTime(from)));
  const body = sequence(
    integer(1),
    ecdsaWithSha256,
    distinguishedName(issuer.name),
    utcTime(from),
    utcTime(to),
    ...(entries.length === 0 ? [] : [sequence(...entries)]),
    der(0xa0, sequence()),
  );
  return signedStructure(body, issuer.key);
}

const sgx = '1.2.840.113741.1.13.1';

function sgxExtension({ ppid, fmspc, componentSvn, cpuSvn }: MadeTerms): Buffer {
  const field = (id: string, value: Buffer) => sequence(oid(`${sgx}.${id}`), value);
  const components = Array.from({ length: 16 }, (_, index) => field(`2.${index + 1}`, integer(componentSvn)));
  const tcb = sequence(...components, field('2.17', integer(10)), field('2.18', der(0x04, cpuSvn)));
  const value = sequence(
    field('1', der(0x04, ppid)),
    field('2', tcb),
    field('3', der(0x04, Buffer.alloc(2))),
    field('4', der(0x04, Buffer.from(fmspc, 'hex'))),
    field('5', der(0x0a, Buffer.of(0))),
  );
  return sequence(oid(sgx), der(0x04, value));
}

const signedStructure = (body: Buffer, key: KeyObject): Buffer =>
  sequence(body, ecdsaWithSha256, der(0x03, Buffer.of(0), sign('sha256', body, key)));

function der(tag: number, ...contents: readonly Buffer[]): Buffer {
  const body = Buffer.concat(contents);
  const { length: size } = body;
  const length = size < 128 ? [size] : size < 256 ? [0x81, size] : [0x82, size >> 8, size & 0xff];
  return Buffer.concat([Buffer.of(tag, ...length), body]);
}

const sequence = (...members: readonly Buffer[]): Buffer => der(0x30, ...members);
const integer = (value: number): Buffer => der(0x02, Buffer.of(value));
const distinguishedName = (name: string): Buffer =>
  sequence(der(0x31, sequence(oid('2.5.4.3'), der(0x0c, Buffer.from(name)))));
const utcTime = (at: Date): Buffer =>
  der(0x17, Buffer.from(`${at.toISOString().slice(2, 19).replaceAll(/[-:T]/g, '')}Z`));

function oid(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  const arc = (value: number): number[] => {
    const digits = [value & 0x7f];
    for (let left = value >> 7; left > 0; left >>= 7) digits.unshift(0x80 | (left & 0x7f));
    return digits;
  };
  return der(0x06, Buffer.from([first * 40 + second, ...rest].flatMap(arc)));
}

const ecdsaWithSha256 = sequence(oid('1.2.840.10045.4.3.2'));
