import type { Randomness } from '#ports/randomness.ts';
import { encodePcrSelection, type PcrSelection, sha256Algorithm } from '#model/tpm/pcr-selection.ts';
import { sized, uint16, uint32, uint8 } from '#model/tpm/wire.ts';
import type { TpmClient } from './tpm-client.ts';

const nullHandle = 0x4000_0007;
const nullAlgorithm = 0x0010;
const policySession = 0x01;
const nonceBytes = 16;

/** What TPM2_PolicyAuthorize takes. */
export interface AuthorizedPolicy {
  readonly policy: Buffer;
  readonly reference: Buffer;
  readonly keyName: Buffer;
  /** TPMT_TK_VERIFIED: that this TPM checked the signature. */
  readonly ticket: Buffer;
}

export interface PolicySession {
  readonly handle: number;
  /** The registers as they are now. */
  satisfyRegisters(selection: PcrSelection): Promise<void>;
  /** What was satisfied so far is what the holder of the key approved. */
  satisfyAuthorized(authorized: AuthorizedPolicy): Promise<void>;
  /** Throws `TpmRefusal` when what was satisfied so far is none of the branches. */
  satisfyOneOf(branches: readonly Buffer[]): Promise<void>;
}

export async function beginPolicySession(tpm: TpmClient, randomness: Randomness): Promise<PolicySession> {
  const { handle } = await tpm.load('StartAuthSession', {
    handles: [nullHandle, nullHandle],
    parameters: [
      sized(randomness.bytes(nonceBytes)),
      sized(),
      uint8(policySession),
      uint16(nullAlgorithm),
      uint16(sha256Algorithm),
    ],
  });
  return {
    handle,
    satisfyRegisters: async ({ indexes }) => {
      await tpm.run('PolicyPCR', { handles: [handle], parameters: [sized(), encodePcrSelection(indexes)] });
    },
    satisfyAuthorized: async ({ policy, reference, keyName, ticket }) => {
      const parameters = [sized(policy), sized(reference), sized(keyName), ticket];
      await tpm.run('PolicyAuthorize', { handles: [handle], parameters });
    },
    satisfyOneOf: async (branches) => {
      const digests = branches.map((branch) => sized(branch));
      await tpm.run('PolicyOR', { handles: [handle], parameters: [uint32(branches.length), ...digests] });
    },
  };
}
