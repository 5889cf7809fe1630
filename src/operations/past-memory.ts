import { openKeyring, type OpenedKeyring } from '#keys/keyring.ts';
import { nextMembership } from '#keys/next-membership.ts';
import type { Host, OperationContext } from './context.ts';
import { rememberedMembership } from './remember-node.ts';

/**
 * The keyring as it goes on where a person named the cluster key against memberships that this host has seen and that are
 * nowhere now: with the same nodes in a membership numbered beyond those. No host that has seen them is then in doubt, and they
 * contradict nothing when they turn up again.
 */
export async function keyringPastMemory(
  { clock }: Pick<OperationContext, 'clock'>,
  { localState, sealing }: Pick<Host, 'localState' | 'sealing'>,
  keyring: OpenedKeyring,
): Promise<OpenedKeyring> {
  const seen = await rememberedMembership({ keyring, localState });
  if (keyring.membership.number >= seen) return keyring;
  const next = nextMembership(keyring, keyring.membership, clock.now(), { beyond: seen });
  const { clusterId, fingerprint: clusterKey } = keyring;
  return await openKeyring([...keyring.documents, next], sealing, { clusterId, clusterKey });
}
