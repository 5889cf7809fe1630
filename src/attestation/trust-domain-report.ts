/** Report of a TDX 1.0 trust domain. TDX DCAP Quoting Library API, appendix A.3.2. */
export interface TrustDomainReport {
  /** 16 bytes: security versions of the TDX module and its loader. */
  readonly teeTcbSvn: Buffer;
  readonly mrSignerSeam: Buffer;
  readonly seamAttributes: Buffer;
  /** 96 hex digits. */
  readonly mrTd: string;
  /** 64 bytes that the trust domain chose. */
  readonly reportData: Buffer;
  readonly isDebug: boolean;
}

export const trustDomainReportBytes = 584;

export function readTrustDomainReport(bytes: Buffer): TrustDomainReport {
  return {
    teeTcbSvn: bytes.subarray(0, 16),
    mrSignerSeam: bytes.subarray(64, 112),
    seamAttributes: bytes.subarray(112, 120),
    mrTd: bytes.toString('hex', 136, 184),
    reportData: bytes.subarray(520, 584),
    // TUD: any of these eight bits makes the trust domain open to its host.
    isDebug: bytes[120] !== 0,
  };
}
