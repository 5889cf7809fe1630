import { enclaveReportBytes, readEnclaveReport, type EnclaveReport } from './enclave-report.ts';
import { rejectEvidence } from './reject.ts';
import { readTrustDomainReport, trustDomainReportBytes, type TrustDomainReport } from './trust-domain-report.ts';

/**
 * The parts of a DCAP quote, none of them verified. Versions 3 (SGX) and 4 (SGX, TDX) with ECDSA P-256.
 * Intel SGX ECDSA QuoteLib Reference, appendix A; Intel TDX DCAP Quoting Library API, appendix A.
 */
export interface QuoteParts {
  readonly body:
    | { readonly tee: 'sgx'; readonly report: EnclaveReport }
    | { readonly tee: 'tdx'; readonly report: TrustDomainReport };
  /** Header and body. */
  readonly signedBytes: Buffer;
  /** r and s, 64 bytes. */
  readonly signature: Buffer;
  /** x and y, 64 bytes. */
  readonly attestationKey: Buffer;
  readonly quotingEnclaveReport: EnclaveReport;
  readonly quotingEnclaveReportBytes: Buffer;
  readonly quotingEnclaveSignature: Buffer;
  readonly quotingEnclaveAuthData: Buffer;
  /** PEM, the PCK certificate first. */
  readonly certificateChain: string;
}

export const maxQuoteBytes = 16_384;
const headerBytes = 48;
const ecdsaP256 = 2;
const teeTypes = { sgx: 0x00, tdx: 0x81 } as const;
const intelQuotingEnclave = '939a7233f79c4ca9940a0db3957f0607';
const certificationDataTypes = { pckChain: 5, quotingEnclaveReport: 6 } as const;

/** Throws `evidence-rejected`. */
export function readQuote(bytes: Uint8Array): QuoteParts {
  if (bytes.byteLength > maxQuoteBytes)
    rejectEvidence(`the quote has ${bytes.byteLength} bytes, more than ${maxQuoteBytes}`);
  const reader = new Reader(Buffer.from(bytes));
  const { version, tee } = readHeader(reader.take(headerBytes));
  const body = reader.take(tee === 'sgx' ? enclaveReportBytes : trustDomainReportBytes);
  const signedBytes = reader.taken();
  const signatureData = new Reader(reader.take(reader.number(4)));
  reader.endInZeros();
  const signature = signatureData.take(64);
  const attestationKey = signatureData.take(64);
  const certification = version === 3 ? signatureData : nested(signatureData);
  const quotingEnclaveReportBytes = certification.take(enclaveReportBytes);
  const parts = {
    body:
      tee === 'sgx'
        ? ({ tee, report: readEnclaveReport(body) } as const)
        : ({ tee, report: readTrustDomainReport(body) } as const),
    signedBytes,
    signature,
    attestationKey,
    quotingEnclaveReport: readEnclaveReport(quotingEnclaveReportBytes),
    quotingEnclaveReportBytes,
    quotingEnclaveSignature: certification.take(64),
    quotingEnclaveAuthData: certification.take(certification.number(2)),
    certificateChain: readChain(certification),
  };
  certification.end();
  return parts;
}

function readHeader(header: Buffer): { readonly version: 3 | 4; readonly tee: 'sgx' | 'tdx' } {
  const version = header.readUInt16LE(0);
  if (version !== 3 && version !== 4) rejectEvidence(`the quote has version ${version}; 3 and 4 are known`);
  const keyType = header.readUInt16LE(2);
  if (keyType !== ecdsaP256)
    rejectEvidence(`the quote is signed by attestation key type ${keyType}, not by ECDSA P-256`);
  const vendor = header.toString('hex', 12, 28);
  if (vendor !== intelQuotingEnclave)
    rejectEvidence(`the quote is by the quoting enclave of vendor ${vendor}, not of Intel`);
  const teeType = header.readUInt32LE(4);
  if (teeType === teeTypes.sgx) return { version, tee: 'sgx' };
  if (teeType === teeTypes.tdx && version === 4) return { version, tee: 'tdx' };
  rejectEvidence(`the quote is of the unknown TEE type ${teeType}`);
}

/** Version 4 wraps the certification data once more. */
function nested(outer: Reader): Reader {
  const type = outer.number(2);
  if (type !== certificationDataTypes.quotingEnclaveReport)
    rejectEvidence(`the quote has certification data of type ${type}`);
  const inner = new Reader(outer.take(outer.number(4)));
  outer.end();
  return inner;
}

function readChain(certification: Reader): string {
  const type = certification.number(2);
  if (type !== certificationDataTypes.pckChain) {
    rejectEvidence(`the quote has certification data of type ${type}, not the certificate chain`);
  }
  return certification.take(certification.number(4)).toString('latin1').replace(/\0+$/, '');
}

/** Takes bytes from the front; less than asked for is a quote cut short. */
class Reader {
  readonly #bytes: Buffer;
  #offset = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  take(length: number): Buffer {
    if (this.#offset + length > this.#bytes.length) rejectEvidence('the quote is cut short');
    this.#offset += length;
    return this.#bytes.subarray(this.#offset - length, this.#offset);
  }

  /** Little endian. */
  number(length: 2 | 4): number {
    return this.take(length).readUIntLE(0, length);
  }

  taken(): Buffer {
    return this.#bytes.subarray(0, this.#offset);
  }

  /** Kernel interfaces give quotes in buffers of a fixed size. */
  endInZeros(): void {
    if (this.#bytes.subarray(this.#offset).some((byte) => byte !== 0))
      rejectEvidence('the quote has bytes after its end');
  }

  end(): void {
    if (this.#offset !== this.#bytes.length) rejectEvidence('the quote has bytes after its end');
  }
}
