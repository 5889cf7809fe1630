import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import type { CredentialId, NodeId } from '#model/identifiers.ts';
import type { KeyringEntry } from './keyring-entry.ts';
import { keyringPath } from './keyring-paths.ts';
import type { MemberNode, MembersPayload } from './payloads.ts';

/** Who belongs to the cluster: whom the highest authentic membership document names, without the evicted. */
export interface Membership {
  readonly number: number;
  readonly nodes: readonly MemberNode[];
  readonly currentEpoch: number;
  readonly keyGeneration: number;
}

/** An authentic membership document. */
export interface MembersRecord {
  readonly entry: KeyringEntry;
  readonly payload: MembersPayload;
}

/**
 * The membership with the highest number. Every document must name the digest of the one before it where that one is
 * there; a hidden or lost one breaks nothing, because each is signed. Two authentic documents that contradict each other
 * throw `forged`, none at all `damaged`.
 *
 * A node of `evicted` is left out of whichever it is: where the memberships since its eviction were deleted, the highest
 * that is left names it.
 */
export function chooseMembership(records: readonly MembersRecord[], evicted: ReadonlySet<NodeId>): Membership {
  const byNumber = new Map<number, MembersRecord>();
  for (const record of records) {
    if (byNumber.has(record.payload.number)) throw contradiction(record.payload.number, record.payload.number);
    byNumber.set(record.payload.number, record);
  }
  let highest: MembersRecord | undefined;
  for (const record of byNumber.values()) {
    const { number, previous } = record.payload;
    const before = byNumber.get(number - 1);
    if (before !== undefined && before.entry.digest !== previous) throw contradiction(number - 1, number);
    if (highest === undefined || number > highest.payload.number) highest = record;
  }
  if (highest !== undefined) {
    const { number, nodes, currentEpoch, keyGeneration } = highest.payload;
    return { number, nodes: nodes.filter(({ nodeId }) => !evicted.has(nodeId)), currentEpoch, keyGeneration };
  }
  throw new EnclaveManagerError('damaged', 'The keyring holds no membership document that the cluster signed.', {
    hint: 'Put keyring/members/ back from a copy; every manifest carries the keyring documents of its time.',
  });
}

export function memberWith(membership: Membership, nodeId: NodeId, credentialId: CredentialId): MemberNode | undefined {
  return membership.nodes.find((node) => node.nodeId === nodeId && node.credentialId === credentialId);
}

function contradiction(first: number, second: number): EnclaveManagerError {
  const paths = [first, second].map((number) => keyringPath({ type: 'members', number }));
  const [a, b] = paths;
  return new EnclaveManagerError(
    'forged',
    a === b ? `Two authentic documents claim to be ${a}.` : `${b} does not follow ${a}, though both are authentic.`,
    { hint: 'Two histories of this cluster were mixed, or an enrolled host misused its key: keep both as evidence.' },
  );
}
