/** Report of an SGX enclave. Intel SDM volume 3D, REPORT; DCAP Quote Library API, appendix A.4. */
export interface EnclaveReport {
  /** 16 bytes: security version of the processor at the time. */
  readonly cpuSvn: Buffer;
  /** 4 bytes. */
  readonly miscSelect: Buffer;
  /** 16 bytes: flags and XFRM. */
  readonly attributes: Buffer;
  /** 64 hex digits each. */
  readonly mrEnclave: string;
  readonly mrSigner: string;
  readonly isvProdId: number;
  readonly isvSvn: number;
  /** 64 bytes that the enclave chose. */
  readonly reportData: Buffer;
  readonly isDebug: boolean;
}

export const enclaveReportBytes = 384;

/** `attributes.flags`, bit 1. */
const debugFlag = 0x02;

export function readEnclaveReport(bytes: Buffer): EnclaveReport {
  const attributes = bytes.subarray(48, 64);
  return {
    cpuSvn: bytes.subarray(0, 16),
    miscSelect: bytes.subarray(16, 20),
    attributes,
    mrEnclave: bytes.toString('hex', 64, 96),
    mrSigner: bytes.toString('hex', 128, 160),
    isvProdId: bytes.readUInt16LE(256),
    isvSvn: bytes.readUInt16LE(258),
    reportData: bytes.subarray(320, 384),
    isDebug: (attributes[0]! & debugFlag) !== 0,
  };
}
