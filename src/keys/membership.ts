import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import type { CredentialId, NodeId } from '#model/identifiers.ts';
import type { KeyHistory } from './generations.ts';
import type { KeyringEntry, RejectedDocument } from './keyring-entry.ts';
import { keyringPath } from './keyring-paths.ts';
import { type MemberNode, maxNodes, type MembersPayload } from './payloads.ts';
import { isPlausibleStep } from './plausible-step.ts';

/** Who belongs to the cluster: whom the highest authentic membership document names, without the evicted. */
export interface Membership {
  readonly number: number;
  readonly nodes: readonly MemberNode[];
  readonly currentEpoch: number;
  readonly keyGeneration: number;
}

/** One membership document: its number, and the hex SHA-256 of its file. */
export interface MembershipName {
  readonly number: number;
  readonly digest: string;
}

/** An authentic membership document. */
export interface MembersRecord {
  readonly entry: KeyringEntry;
  readonly payload: MembersPayload;
}

/**
 * Sets aside what is authentic and cannot be a membership all the same: an enrolled host misused its key. That is one with the
 * number of one that an epoch document names, and another digest; of an epoch beyond the newest; and of a number that is
 * implausibly far beyond the one before.
 */
export function countingMemberships(
  records: readonly MembersRecord[],
  { epochs, newest }: KeyHistory,
  rejected: RejectedDocument[],
): readonly MembersRecord[] {
  const named = new Map([...epochs.values()].map(({ payload }) => [payload.membership?.number, payload] as const));
  let last = 0;
  const reasonAgainst = ({ entry, payload: { number, currentEpoch } }: MembersRecord): string | undefined => {
    const by = named.get(number);
    if (by !== undefined && by.membership?.digest !== entry.digest)
      return `is not the membership ${number} that epoch ${by.epoch} names`;
    if (currentEpoch > newest.payload.epoch)
      return `names epoch ${currentEpoch}; the newest that the cluster signed is ${newest.payload.epoch}`;
    return isPlausibleStep(last, number) ? undefined : `has a number too far beyond ${last}, the highest before it`;
  };
  const inOrder = records.toSorted((a, b) => a.payload.number - b.payload.number);
  return inOrder.filter((record) => {
    const reason = reasonAgainst(record);
    if (reason === undefined) last = record.payload.number;
    else rejected.push({ path: record.entry.path, reason });
    return reason === undefined;
  });
}

/** The membership in force, by its document, and how the next one is numbered. */
export interface ChosenMembership extends Membership {
  readonly digest: string;
  /** Epoch documents name a later one, which is nowhere. */
  readonly isBehind: boolean;
  /** Higher than every number that anything says was given. */
  readonly nextNumber: number;
}

/**
 * The membership with the highest number. Every document must name the digest of the one before it where that one is
 * there; a hidden or lost one breaks nothing, because each is signed. Two authentic documents that contradict each other
 * throw `forged`, none at all `damaged`.
 *
 * An evicted node is left out of whichever it is: where the memberships since its eviction were deleted, the highest that
 * is left names it.
 */
export function chooseMembership(records: readonly MembersRecord[], history: KeyHistory): ChosenMembership {
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
  if (highest !== undefined) return chosen(highest, history);
  throw new EnclaveManagerError('damaged', 'The keyring holds no membership document that the cluster signed.', {
    hint: 'Put keyring/members/ back from a copy; every manifest carries the keyring documents of its time.',
  });
}

/**
 * What came after a membership that is missing may be missing too, and turn up again: that of the new epoch, one for every
 * host that resealed its credential, one for every host enrolled since. The next one is numbered beyond them, so that
 * none of them contradicts it.
 */
const roomForHidden = 4 * maxNodes;

function chosen({ entry: { digest }, payload }: MembersRecord, { epochs, evicted }: KeyHistory): ChosenMembership {
  const { number, currentEpoch, keyGeneration } = payload;
  const named = [...epochs.values()].flatMap((epoch) => epoch.payload.membership?.number ?? []);
  const highestNamed = Math.max(number, ...named.filter((each) => isPlausibleStep(number, each)));
  return {
    number,
    nodes: payload.nodes.filter(({ nodeId }) => !evicted.has(nodeId)),
    currentEpoch,
    keyGeneration,
    digest,
    isBehind: highestNamed > number,
    nextNumber: 1 + (highestNamed > number ? highestNamed + roomForHidden : number),
  };
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
