import { verify, type X509Certificate } from 'node:crypto';
import { z } from 'zod';
import { readCertificateChain } from './certificate-chain.ts';
import { rejectEvidence } from './reject.ts';
import {
  checkInForce,
  readRevocationList,
  refuseRevoked,
  subjectName,
  type RevocationList,
} from './revocation-list.ts';
import { tcbStatuses } from './tcb-level.ts';

/** What Intel says of platforms, in the form that PCS, PCCS and the quote provider libraries hand on. None of it is trusted yet. */
export const collateralSchema = z.object({
  pck_crl_issuer_chain: z.string().max(32_768),
  /** DER in hex. */
  root_ca_crl: z.string().max(1_048_576),
  pck_crl: z.string().max(8_388_608),
  tcb_info_issuer_chain: z.string().max(32_768),
  /** JSON text, exactly as it was signed. */
  tcb_info: z.string().max(1_048_576),
  /** r and s, 64 bytes in hex. */
  tcb_info_signature: z.string().max(256),
  qe_identity_issuer_chain: z.string().max(32_768),
  qe_identity: z.string().max(262_144),
  qe_identity_signature: z.string().max(256),
});

export type Collateral = z.infer<typeof collateralSchema>;

const svn = z.object({ svn: z.int().min(0).max(255) });
const hexText = z.string().regex(/^([0-9a-fA-F]{2})*$/);
const inForce = { issueDate: z.iso.datetime(), nextUpdate: z.iso.datetime() };
const level = { tcbStatus: z.enum(tcbStatuses), advisoryIDs: z.array(z.string().max(64)).max(1000).default([]) };
const isvLevels = z.array(z.object({ tcb: z.object({ isvsvn: z.int().min(0) }), ...level })).max(1000);

/** Intel SGX PCS API v4, TCB info version 3. */
const tcbInfoSchema = z.object({
  id: z.enum(['SGX', 'TDX']),
  version: z.literal(3),
  ...inForce,
  fmspc: hexText,
  pceId: hexText,
  tdxModule: z.object({ mrsigner: hexText, attributes: hexText, attributesMask: hexText }).optional(),
  tdxModuleIdentities: z
    .array(
      z.object({
        id: z.string(),
        mrsigner: hexText,
        attributes: hexText,
        attributesMask: hexText,
        tcbLevels: isvLevels,
      }),
    )
    .max(1000)
    .optional(),
  tcbLevels: z
    .array(
      z.object({
        tcb: z.object({
          sgxtcbcomponents: z.array(svn).length(16),
          tdxtcbcomponents: z.array(svn).length(16).optional(),
          pcesvn: z.int().min(0),
        }),
        ...level,
      }),
    )
    .max(1000),
});

export type TcbInfo = z.infer<typeof tcbInfoSchema>;

/** Intel SGX PCS API v4, enclave identity version 2. */
const quotingEnclaveSchema = z.object({
  id: z.enum(['QE', 'TD_QE']),
  version: z.literal(2),
  ...inForce,
  miscselect: hexText,
  miscselectMask: hexText,
  attributes: hexText,
  attributesMask: hexText,
  mrsigner: hexText,
  isvprodid: z.int().min(0),
  tcbLevels: isvLevels,
});

export type QuotingEnclaveIdentity = z.infer<typeof quotingEnclaveSchema>;

export interface CheckedCollateral {
  readonly tcbInfo: TcbInfo;
  readonly quotingEnclave: QuotingEnclaveIdentity;
  readonly rootRevocations: RevocationList;
  readonly platformRevocations: RevocationList;
  /** The authority that issues the PCK certificates of such platforms. */
  readonly platformAuthority: X509Certificate;
}

/** Checks every signature, date and revocation of the collateral itself. Throws `evidence-rejected`. */
export function checkCollateral(collateral: Collateral, now: Date, rootKey?: string): CheckedCollateral {
  const [platformAuthority, root] = readAuthority(collateral.pck_crl_issuer_chain, now, rootKey);
  const rootRevocations = readRevocationList(
    fromHex(collateral.root_ca_crl),
    root,
    now,
    'the revocation list of the root',
  );
  refuseRevoked(platformAuthority, rootRevocations);
  const signed = (name: 'tcb_info' | 'qe_identity', what: string): unknown => {
    const [signer] = readSigner(collateral[`${name}_issuer_chain`], now, rootKey, what);
    refuseRevoked(signer, rootRevocations);
    return readSigned(collateral[name], collateral[`${name}_signature`], signer, what);
  };
  const tcbInfo = parse(tcbInfoSchema, signed('tcb_info', 'the TCB info'), now, 'the TCB info');
  const quotingEnclave = parse(
    quotingEnclaveSchema,
    signed('qe_identity', 'the quoting enclave identity'),
    now,
    'the quoting enclave identity',
  );
  const platformRevocations = readRevocationList(
    fromHex(collateral.pck_crl),
    platformAuthority,
    now,
    'the revocation list of the platforms',
  );
  return { tcbInfo, quotingEnclave, rootRevocations, platformRevocations, platformAuthority };
}

/** Intel's two authorities for PCK certificates, issued by the root. */
export const isPlatformAuthority = (certificate: X509Certificate): boolean =>
  /^Intel SGX PCK (Processor|Platform) CA$/.test(subjectName(certificate));

function readAuthority(pem: string, now: Date, rootKey?: string): [X509Certificate, X509Certificate] {
  const what = 'the chain of the revocation list';
  const [authority, root, ...more] = readCertificateChain(pem, now, what, rootKey);
  if (root === undefined || more.length > 0 || !isPlatformAuthority(authority)) {
    rejectEvidence(`${what} is not one of an authority for PCK certificates`);
  }
  return [authority, root];
}

/** Only this name, directly below the root, may speak of TCB levels: a PCK certificate must not. */
function readSigner(pem: string, now: Date, rootKey: string | undefined, what: string): [X509Certificate] {
  const [signer, ...authorities] = readCertificateChain(pem, now, `the chain of ${what}`, rootKey);
  if (authorities.length !== 1 || subjectName(signer) !== 'Intel SGX TCB Signing') {
    rejectEvidence(`${what} is signed by "${subjectName(signer)}", not by the TCB signing certificate`);
  }
  return [signer];
}

function readSigned(text: string, signature: string, signer: X509Certificate, what: string): unknown {
  const key = { key: signer.publicKey, dsaEncoding: 'ieee-p1363' as const };
  if (!verify('sha256', Buffer.from(text, 'utf8'), key, fromHex(signature))) {
    rejectEvidence(`${what} is not signed by "${subjectName(signer)}"`);
  }
  return JSON.parse(text);
}

function parse<T extends { readonly issueDate: string; readonly nextUpdate: string }>(
  schema: z.ZodType<T>,
  value: unknown,
  now: Date,
  what: string,
): T {
  const parsed = schema.safeParse(value);
  if (!parsed.success)
    rejectEvidence(`${what} does not have the form it should have: ${parsed.error.issues[0]?.message}`);
  checkInForce(new Date(parsed.data.issueDate), new Date(parsed.data.nextUpdate), now, what);
  return parsed.data;
}

function fromHex(text: string): Buffer {
  if (!/^([0-9a-fA-F]{2})+$/.test(text)) rejectEvidence('the collateral holds something else where hex must be');
  return Buffer.from(text, 'hex');
}
