import { createHash, createPublicKey, verify, type KeyObject } from 'node:crypto';
import { readCertificateChain, sameKey } from './certificate-chain.ts';
import { checkCollateral, isPlatformAuthority, type CheckedCollateral, type Collateral } from './collateral.ts';
import { readPlatformFacts, type PlatformFacts } from './platform-certificate.ts';
import { readQuote, type QuoteParts } from './quote-layout.ts';
import { checkQuotingEnclave } from './quoting-enclave.ts';
import { rejectEvidence } from './reject.ts';
import { refuseRevoked } from './revocation-list.ts';
import { converge, platformVerdict, type TcbVerdict } from './tcb-level.ts';
import { moduleVerdict } from './tdx-module.ts';

/** A quote that Intel's certificates and collateral vouch for, and what they say of the platform. */
export interface VerifiedQuote {
  readonly body: QuoteParts['body'];
  readonly platform: PlatformFacts;
  readonly verdict: TcbVerdict;
}

/**
 * Verifies a DCAP quote at a time: PCK chain to Intel's root, revocation lists, TCB info and quoting enclave identity with
 * their signatures and dates, the quoting enclave's report, the quote's own signature, and the platform's TCB level.
 * Debug enclaves and revoked platforms are refused; whether any other level will do, and which enclave, is for the
 * caller's policy. Intel SGX DCAP Quote Verification Library, `sgx_qv_verify_quote`. Throws `evidence-rejected`.
 */
export function verifyQuote(
  bytes: Uint8Array,
  collateral: Collateral,
  now: Date,
  options: { /** Another root than Intel's: for tests. */ readonly rootKey?: string } = {},
): VerifiedQuote {
  const quote = readQuote(bytes);
  const checked = checkCollateral(collateral, now, options.rootKey);
  const { platform, key } = checkPlatform(quote, checked, now, options.rootKey);
  checkSignatures(quote, key);
  const enclave = checkQuotingEnclave(quote.quotingEnclaveReport, checked.quotingEnclave, quote.body.tee);
  if (quote.body.report.isDebug) rejectEvidence('the quote is of a debug enclave, whose memory its host can read');
  const verdict = converge(judgePlatform(quote, checked, platform), enclave);
  if (verdict.status === 'Revoked') rejectEvidence('Intel revoked the security level of this platform');
  return { body: quote.body, platform, verdict };
}

function checkPlatform(
  { certificateChain }: QuoteParts,
  checked: CheckedCollateral,
  now: Date,
  rootKey: string | undefined,
): { readonly platform: PlatformFacts; readonly key: KeyObject } {
  const [leaf, authority, root, ...more] = readCertificateChain(
    certificateChain,
    now,
    'the chain of the quote',
    rootKey,
  );
  if (authority === undefined || root === undefined || more.length > 0 || leaf.ca || !isPlatformAuthority(authority)) {
    rejectEvidence('the chain of the quote is not one of a PCK certificate');
  }
  if (!sameKey(authority, checked.platformAuthority)) {
    rejectEvidence(
      'the revocation list of the platforms is of another authority than the one that certified this platform',
    );
  }
  refuseRevoked(authority, checked.rootRevocations);
  refuseRevoked(leaf, checked.platformRevocations);
  const platform = readPlatformFacts(leaf);
  const { fmspc, pceId } = checked.tcbInfo;
  if (fmspc.toLowerCase() !== platform.fmspc || pceId.toLowerCase() !== platform.pceId) {
    rejectEvidence(
      `the TCB info is for platform ${fmspc}, PCE ${pceId}; this is ${platform.fmspc}, PCE ${platform.pceId}`,
    );
  }
  return { platform, key: leaf.publicKey };
}

/** PCK key → report of the quoting enclave → attestation key → quote. */
function checkSignatures(quote: QuoteParts, platformKey: KeyObject): void {
  const { quotingEnclaveReportBytes, quotingEnclaveSignature, quotingEnclaveAuthData, attestationKey } = quote;
  if (!isSigned(quotingEnclaveReportBytes, quotingEnclaveSignature, platformKey)) {
    rejectEvidence('the report of the quoting enclave is not signed by the key of the platform');
  }
  const expected = Buffer.alloc(64);
  createHash('sha256').update(attestationKey).update(quotingEnclaveAuthData).digest().copy(expected);
  if (!quote.quotingEnclaveReport.reportData.equals(expected)) {
    rejectEvidence('the quoting enclave vouched for another attestation key');
  }
  if (!isSigned(quote.signedBytes, quote.signature, p256Key(attestationKey))) {
    rejectEvidence('the quote is not signed by its attestation key');
  }
}

const isSigned = (bytes: Buffer, signature: Buffer, key: KeyObject): boolean =>
  verify('sha256', bytes, { key, dsaEncoding: 'ieee-p1363' }, signature);

function p256Key(point: Buffer): KeyObject {
  const coordinate = (from: number): string => point.toString('base64url', from, from + 32);
  try {
    return createPublicKey({ key: { kty: 'EC', crv: 'P-256', x: coordinate(0), y: coordinate(32) }, format: 'jwk' });
  } catch {
    rejectEvidence('the attestation key of the quote is no point of P-256');
  }
}

function judgePlatform({ body }: QuoteParts, { tcbInfo }: CheckedCollateral, platform: PlatformFacts): TcbVerdict {
  const wanted = body.tee === 'sgx' ? 'SGX' : 'TDX';
  if (tcbInfo.id !== wanted) rejectEvidence(`the TCB info is for ${tcbInfo.id}, the quote of ${wanted}`);
  const teeTcbSvn = body.tee === 'tdx' ? body.report.teeTcbSvn : undefined;
  const { componentSvns, pceSvn } = platform;
  const verdict = platformVerdict(tcbInfo.tcbLevels, { componentSvns, pceSvn, teeTcbSvn });
  if (verdict === undefined) rejectEvidence('the platform reaches no security level that Intel knows');
  return body.tee === 'tdx' ? converge(verdict, moduleVerdict(body.report, tcbInfo)) : verdict;
}
