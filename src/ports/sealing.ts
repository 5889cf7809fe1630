import type { Measurements } from '#model/tpm/approval.ts';

/**
 * A secret that never leaves this host's hardware, and what it can seal: the node credential and nothing else.
 *
 * - `unseal(seal(x))` is x on the same hardware, in every later process.
 * - On any other hardware `unseal` answers `undefined`; so it does for damaged and foreign bytes.
 * - A device that does not answer throws `sealing-unavailable`, never `undefined`.
 * - A missing key is an error, never a reason to make a new one: only `provision` makes one.
 */
export interface Sealing {
  readonly provider: SealingProvider;
  /** Makes the host's key where the provider needs one made. Called by cluster creation and enrolment only; keeps a key that is there. */
  provision(): Promise<void>;
  /** Stable for this hardware, different for all others; shown to people, bound into slots. */
  hardwareIdentity(): Promise<string>;
  /** At most `maxSecretBytes`. */
  seal(secret: Uint8Array): Promise<Buffer>;
  unseal(sealed: Uint8Array): Promise<Buffer | undefined>;
  /** Absent where the provider cannot prove its hardware. */
  readonly evidence?: HardwareEvidence;
  /** What this host measured while it started, where sealing depends on that. */
  measure?(): Promise<Measurements>;
  /** Why `unseal` answers `undefined`, where the bytes and the hardware tell; `undefined` where they do not, and for damaged bytes. */
  explain?(sealed: Uint8Array): Promise<SealingRefusal | undefined>;
}

/** How hardware proves itself to whoever enrols this host. */
export interface HardwareEvidence {
  /**
   * What it says of itself, for `sealed` bytes of its own; nothing secret, at most 32 KiB. Where the hardware signs what it says,
   * it signs `binding` too: 32 bytes that are of this request alone.
   */
  collect(sealed: Uint8Array, binding: Uint8Array): Promise<Buffer>;
  /**
   * The secret in a challenge to that evidence; `undefined` when this is not the hardware that it was made for. Absent where
   * the evidence is signed and needs no challenge.
   */
  answer?(sealed: Uint8Array, challenge: HardwareChallenge): Promise<Buffer | undefined>;
}

/** Two byte strings, as TPM2_ActivateCredential takes them. */
export interface HardwareChallenge {
  readonly credentialBlob: Buffer;
  readonly encryptedSecret: Buffer;
}

export interface SealingRefusal {
  /** A clause: "it was sealed by another TPM …". */
  readonly reason: string;
  /** What to do. */
  readonly hint: string;
}

export type SealingProvider = 'software' | 'tpm2' | 'sgx';

/** A TPM 2.0 sealed object holds no more. */
export const maxSecretBytes = 128;
