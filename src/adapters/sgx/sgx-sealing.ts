import type { EnclaveReport } from '#attestation/enclave-report.ts';
import { claimedPlatform } from '#attestation/platform-certificate.ts';
import { readQuote, type QuoteParts } from '#attestation/quote-layout.ts';
import { isEnclaveManagerError } from '#errors/enclave-manager-error.ts';
import type { Randomness } from '#ports/randomness.ts';
import { maxSecretBytes, type Sealing } from '#ports/sealing.ts';
import { AttestationFiles, unavailable } from './attestation-files.ts';
import { decodeSealed, encodeSealed, sealedVersions, type SealingVersions } from './sealed-layout.ts';

export interface SgxSealingOptions {
  /** Where Gramine shows the attestation files: `/dev/attestation`. */
  readonly directory: string;
  readonly randomness: Randomness;
}

/**
 * Sealing by the processor, for a manager that runs as an SGX enclave under Gramine. The key belongs to the enclave's
 * signer (MRSIGNER) and product id: it survives a rebuild, and whoever holds the signing key can make an enclave that
 * opens it. It changes with the processor's security version (CPUSVN) and the enclave's own (ISVSVN); both are recorded
 * with the sealed bytes, so that "the microcode changed" can be told from "another machine".
 *
 * Files only: an enclave cannot start processes, and has no memory for WebAssembly.
 */
export function createSgxSealing({ directory, randomness }: SgxSealingOptions): Sealing {
  const files = new AttestationFiles(directory);
  return {
    provider: 'sgx',
    // The processor has its key already.
    provision: async () => void (await files.sealKey()).fill(0),
    hardwareIdentity: async () => `sgx:${platformId(await ownQuote(files))}`,
    seal: async (secret) => {
      if (secret.length > maxSecretBytes) throw new RangeError(`at most ${maxSecretBytes} bytes can be sealed`);
      const versions = versionsOf(await ownReport(files));
      return encodeSealed(await files.sealKey(), versions, secret, randomness.bytes(12));
    },
    unseal: async (sealed) => decodeSealed(await files.sealKey(), sealed),
    // The report data of a quote has 64 bytes.
    evidence: { collect: (_, binding) => files.quote(Buffer.concat([binding, Buffer.alloc(64 - binding.length)])) },
    explain: async (sealed) => {
      const then = sealedVersions(sealed);
      return then === undefined ? undefined : difference(then, versionsOf(await ownReport(files)));
    },
  };
}

async function ownQuote(files: AttestationFiles): Promise<QuoteParts> {
  const bytes = await files.quote(Buffer.alloc(64));
  try {
    return readQuote(bytes);
  } catch (error) {
    if (isEnclaveManagerError(error, 'evidence-rejected'))
      throw unavailable(`this enclave gives no usable quote: ${error.message}`, error);
    throw error;
  }
}

async function ownReport(files: AttestationFiles): Promise<EnclaveReport> {
  const { body } = await ownQuote(files);
  if (body.tee === 'sgx') return body.report;
  throw unavailable('this is a TDX trust domain, which has no seal key of its own');
}

/** The PPID: 16 bytes that Intel gave this processor package. */
function platformId(quote: QuoteParts): string {
  try {
    return claimedPlatform(quote).ppid.toString('hex');
  } catch (error) {
    throw unavailable('the certificate in the quote of this enclave does not name the platform', error);
  }
}

const versionsOf = ({ cpuSvn, isvSvn, isvProdId, mrSigner }: EnclaveReport): SealingVersions => ({
  cpuSvn,
  isvSvn,
  isvProdId,
  mrSigner,
});

const joinAgain = 'Have another enrolled host admit this one again: node invite there, node enrol here.';

function difference(then: SealingVersions, now: SealingVersions): { readonly reason: string; readonly hint: string } {
  if (then.mrSigner !== now.mrSigner || then.isvProdId !== now.isvProdId) {
    const reason = `it was sealed by an enclave of signer ${then.mrSigner}, product ${then.isvProdId}; this one is of signer ${now.mrSigner}, product ${now.isvProdId}`;
    return { reason, hint: `Run the enclave of the signer that sealed it. ${joinAgain}` };
  }
  if (!then.cpuSvn.equals(now.cpuSvn)) {
    const reason = `the security version of the processor changed from ${then.cpuSvn.toString('hex')} to ${now.cpuSvn.toString('hex')}, as a microcode or firmware update does`;
    return { reason, hint: joinAgain };
  }
  if (then.isvSvn !== now.isvSvn) {
    const reason = `the security version of the enclave changed from ${then.isvSvn} to ${now.isvSvn}`;
    return { reason, hint: `Run the version that sealed it. ${joinAgain}` };
  }
  return { reason: 'another processor sealed it', hint: joinAgain };
}
