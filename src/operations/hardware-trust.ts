import type { X509Certificate } from 'node:crypto';
import type { Collateral } from '#attestation/collateral.ts';

/** Whose word counts for the hardware of a host that is enrolled; where nobody's does, it is graded `unattested`. */
export interface HardwareTrust {
  /** Makers of TPMs. */
  readonly tpmAuthorities?: readonly X509Certificate[];
  /** What Intel says of its platforms, and who may sign the manager as an enclave. */
  readonly sgx?: SgxTrust;
}

export interface SgxTrust {
  /** One for each kind of platform (FMSPC). */
  readonly collateral: readonly Collateral[];
  /** MRSIGNER of enclaves that may join, 64 hex digits each. */
  readonly signers: readonly string[];
  /** Another root than Intel's: for tests. */
  readonly rootKey?: string;
}
