import { createHash } from 'node:crypto';
import { encodePcrSelection, type PcrSelection } from './pcr-selection.ts';
import { uint32 } from './wire.ts';

/**
 * The arithmetic of policies: each step replaces the policy digest by a hash over the one before, the command and what it
 * named (TPM 2.0 Part 1, "Policies"; the commands' own sections in Part 3).
 */

const commands = { policyPcr: 0x17f, policyOr: 0x171, policyAuthorize: 0x16a } as const;
const emptyPolicy = Buffer.alloc(32);

const sha256 = (...parts: readonly Uint8Array[]): Buffer => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
};

/** Satisfied while the registers have these values; 32 bytes each, in the order of the selection. */
export function pcrPolicy({ indexes }: PcrSelection, values: readonly Uint8Array[]): Buffer {
  return sha256(emptyPolicy, uint32(commands.policyPcr), encodePcrSelection(indexes), sha256(...values));
}

/** Satisfied when one of the branches is: two to eight of them. */
export function orPolicy(branches: readonly Uint8Array[]): Buffer {
  return sha256(emptyPolicy, uint32(commands.policyOr), ...branches);
}
/** Satisfied by any policy that the holder of the key with this name signed, together with `reference`. */
export function authorizePolicy(keyName: Uint8Array, reference: Uint8Array): Buffer {
  return sha256(sha256(emptyPolicy, uint32(commands.policyAuthorize), keyName), reference);
}

/** What the holder of the key signs to approve a policy. */
export function approvalDigest(approvedPolicy: Uint8Array, reference: Uint8Array): Buffer {
  return sha256(approvedPolicy, reference);
}
