import type { QuotingEnclaveIdentity } from './collateral.ts';
import type { EnclaveReport } from './enclave-report.ts';
import { rejectEvidence } from './reject.ts';
import { isvVerdict, type TcbVerdict } from './tcb-level.ts';

/** Is this Intel's quoting enclave, and how new? Throws `evidence-rejected`. */
export function checkQuotingEnclave(
  report: EnclaveReport,
  identity: QuotingEnclaveIdentity,
  tee: 'sgx' | 'tdx',
): TcbVerdict {
  const wanted = tee === 'sgx' ? 'QE' : 'TD_QE';
  if (identity.id !== wanted)
    rejectEvidence(`the enclave identity is of ${identity.id}, the quote was made by ${wanted}`);
  if (report.isDebug) rejectEvidence('the quoting enclave is a debug enclave');
  const isIntels =
    report.mrSigner === identity.mrsigner.toLowerCase() &&
    report.isvProdId === identity.isvprodid &&
    // MISCSELECT is a number, least significant byte first; its JSON is written as a number is.
    agrees(report.miscSelect.toReversed(), identity.miscselect, identity.miscselectMask) &&
    agrees(report.attributes, identity.attributes, identity.attributesMask);
  if (!isIntels)
    rejectEvidence(
      `the quote was made by an enclave of signer ${report.mrSigner}, which is not Intel's quoting enclave`,
    );
  const verdict = isvVerdict(identity.tcbLevels, report.isvSvn);
  return verdict ?? rejectEvidence(`the quoting enclave has version ${report.isvSvn}, which Intel does not know`);
}

/** Where the mask has ones, the bits are the expected ones. */
export function agrees(actual: Uint8Array, expectedHex: string, maskHex: string): boolean {
  const [expected, mask] = [Buffer.from(expectedHex, 'hex'), Buffer.from(maskHex, 'hex')];
  return (
    expected.length === actual.length &&
    mask.length === actual.length &&
    actual.every((byte, index) => (byte & mask[index]!) === (expected[index]! & mask[index]!))
  );
}
