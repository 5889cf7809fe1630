import type { Collateral } from '#attestation/collateral.ts';
import { claimedPlatform } from '#attestation/platform-certificate.ts';
import { readQuote } from '#attestation/quote-layout.ts';
import { rejectEvidence } from '#attestation/reject.ts';
import type { TcbStatus } from '#attestation/tcb-level.ts';
import { verifyQuote, type VerifiedQuote } from '#attestation/verify-quote.ts';
import type { HardwareProof } from '#keys/enrolment.ts';
import type { SgxTrust } from './hardware-trust.ts';

/** A platform that its owner can bring up to date is still the platform it says it is. */
const wellKept: readonly TcbStatus[] = [
  'UpToDate',
  'SWHardeningNeeded',
  'ConfigurationNeeded',
  'ConfigurationAndSWHardeningNeeded',
];

/**
 * Whether a quote proves that a joining host is an enclave of a trusted signer on the processor it names, with the key that it
 * asks for. `undefined` without collateral for such a platform: then nothing is proved and nothing refuted. Throws
 * `evidence-rejected`.
 */
export function proveEnclave(
  quote: Buffer,
  claimed: { readonly hardwareIdentity: string; readonly binding: Buffer },
  trust: SgxTrust,
  now: Date,
): HardwareProof | undefined {
  const collateral = collateralFor(quote, trust.collateral);
  if (collateral === undefined) return undefined;
  const options = trust.rootKey === undefined ? {} : { rootKey: trust.rootKey };
  const { platform, body, verdict } = verifyQuote(quote, collateral, now, options);
  const identity = `sgx:${platform.ppid.toString('hex')}`;
  if (identity !== claimed.hardwareIdentity) {
    rejectEvidence(`the quote is of the processor ${identity}, the host calls itself ${claimed.hardwareIdentity}`);
  }
  checkEnclave(body, claimed.binding, trust.signers);
  return { grade: wellKept.includes(verdict.status) ? 'sgx-attested' : 'sgx-out-of-date', isProved: true };
}

function checkEnclave(body: VerifiedQuote['body'], binding: Buffer, signers: readonly string[]): void {
  if (body.tee !== 'sgx') rejectEvidence('the quote is of a TDX trust domain, which has no seal key of its own');
  const { mrSigner, reportData } = body.report;
  if (!signers.includes(mrSigner))
    rejectEvidence(`the quote is of an enclave of signer ${mrSigner}, who is not trusted here`);
  if (!reportData.equals(Buffer.concat([binding, Buffer.alloc(32)]))) {
    rejectEvidence('the quote was made for another key, another invite or another cluster');
  }
}

/** By what the certificate says, unverified: a wrong choice fails the verification. */
function collateralFor(quote: Buffer, all: readonly Collateral[]): Collateral | undefined {
  const { fmspc } = claimedPlatform(readQuote(quote));
  const isForIt = (text: string): boolean => new RegExp(`"fmspc"\\s*:\\s*"${fmspc}"`, 'i').test(text);
  return all.find(({ tcb_info }) => isForIt(tcb_info));
}
