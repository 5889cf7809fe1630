import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { formatUuid } from '#model/identifiers.ts';
import type { Randomness } from '#ports/randomness.ts';
import { formatToken, joinRequestMacKey, joinSecretBytes } from './join-token.ts';
import type { OpenedKeyring } from './opened-keyring.ts';

export { admitNode, type HardwareProof } from './admission.ts';
export { answerJoinChallenge, isRightAnswer, newJoinChallenge } from './join-challenge.ts';
export {
  evidenceBinding,
  findClusterKey,
  type JoinRequest,
  newJoinRequest,
  type NewJoinRequest,
  readJoinRequest,
} from './join-request.ts';
export { parseToken } from './join-token.ts';

export interface NewInvite {
  readonly inviteId: string;
  /** Shown once to the person who enrols the new host; never stored. */
  readonly token: string;
  /** 32 bytes: what the manager keeps, as a sealed column, to check the join request. The token does not follow from it. */
  readonly macKey: Buffer;
}

/** A one-time invitation for one host. That it is used once, and expires, is the caller's. Throws `not-permitted` on a host that is not a member. */
export function newInvite(keyring: Pick<OpenedKeyring, 'fingerprint' | 'isMember'>, randomness: Randomness): NewInvite {
  if (!keyring.isMember) {
    throw new EnclaveManagerError(
      'not-permitted',
      'This host is not a member of the cluster, so it may not invite others.',
      {
        hint: 'Run node invite on an enrolled host; node list shows them.',
      },
    );
  }
  const inviteId = randomUuid(randomness);
  const secret = randomness.bytes(joinSecretBytes);
  const token = formatToken({ inviteId, secret, fingerprint: keyring.fingerprint });
  const macKey = joinRequestMacKey(secret);
  secret.fill(0);
  return { inviteId, token, macKey };
}

/** UUIDv4 (RFC 9562 §5.4). */
function randomUuid(randomness: Randomness): string {
  const bytes = Buffer.from(randomness.bytes(16));
  bytes[6] = 0x40 | (bytes[6]! & 0x0f);
  bytes[8] = 0x80 | (bytes[8]! & 0x3f);
  return formatUuid(bytes);
}
