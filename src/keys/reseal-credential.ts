import type { Sealing } from '#ports/sealing.ts';
import type { KeyringDocument } from './keyring-entry.ts';
import { keyringPath } from './keyring-paths.ts';
import { memberOf, newCredential } from './new-cluster.ts';
import type { KeyPorts } from './next-generation.ts';
import { nextMembership } from './next-membership.ts';
import { memberWith } from './membership.ts';
import { notMember, type OpenedKeyring } from './opened-keyring.ts';

/**
 * Seals this host's key anew, with the newest cluster key in it: the signed credential, its slots of every epoch, and the
 * membership that names it, in the order in which they must be stored. From then on a successor that somebody forges of
 * an earlier generation is nothing to this host.
 *
 * Throws `not-permitted` on a host that is not a member, `no-key` when it cannot open every epoch, and what `sealing` throws.
 */
export async function resealCredential(
  keyring: OpenedKeyring,
  ports: KeyPorts & { readonly sealing: Sealing },
): Promise<{ documents: KeyringDocument[] }> {
  const { clusterId, keyGeneration, verifyKey: clusterVerifyKey, nodeId } = keyring;
  const { nodes, currentEpoch } = keyring.membership;
  const member = memberWith(keyring.membership, nodeId, keyring.credentialId);
  if (member === undefined) throw notMember(nodeId, keyring.membership);
  const made = await newCredential(ports, { clusterId, keyGeneration, clusterVerifyKey }, member);
  const payload = { ...made, grade: member.grade };
  const credential = {
    path: keyringPath({ type: 'credential', nodeId, credentialId: payload.credentialId }),
    bytes: keyring.sign('credential', payload),
  };
  const slots = await keyring.wrapRootKeys(payload);
  const resealed = nodes.map((node) => (node.nodeId === nodeId ? memberOf(payload) : node));
  const members = nextMembership(keyring, { nodes: resealed, currentEpoch }, ports.clock.now());
  return { documents: [credential, ...slots, members] };
}
