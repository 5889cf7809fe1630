import { createHash, type KeyObject } from 'node:crypto';
import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import type { ClusterId, CredentialId, NodeId } from '#model/identifiers.ts';
import { authenticate, authenticateAside, isDisowned, isNewerOfCluster } from './authenticity.ts';
import { deriveCatalogCacheKey, deriveEpochKeys, type EpochKeys } from './epoch-keys.ts';
import type { KeyHistory } from './generations.ts';
import type { KeyringDocument, RejectedDocument } from './keyring-entry.ts';
import { type ChosenMembership, type Membership, memberWith } from './membership.ts';
import { type KeyPorts, newGenerationDocuments, type NextGeneration } from './next-generation.ts';
import { newSlotDocument, openSigningKey, type SlotRecipient } from './new-documents.ts';
import type { SlotPayload } from './payloads.ts';
import { encodeFields } from './pae.ts';
import { type DocumentType, signDocument, type Signer } from './signed-document.ts';

/** The authentic keyring of a cluster, with the keys that this host's hardware opens. Printing it shows no key. */
export interface OpenedKeyring {
  readonly clusterId: ClusterId;
  readonly nodeId: NodeId;
  readonly credentialId: CredentialId;
  /** The newest generation of the cluster signing key. */
  readonly keyGeneration: number;
  /** `sha256:` and the base64url SHA-256 of `verifyKey`. */
  readonly fingerprint: string;
  /** Of every generation that the keyring leads to, the newest included. */
  readonly fingerprints: ReadonlySet<string>;
  /** Raw Ed25519 public key of the newest generation, 32 bytes. */
  readonly verifyKey: Buffer;
  readonly membership: Membership;
  /** Epoch documents name a later membership, which was found nowhere: hosts that only that one names are no members now. */
  readonly missesMemberships: boolean;
  /** For the next membership: higher than every number that anything says was given. */
  readonly nextMembershipNumber: number;
  /** False on a host that was evicted, or is being evicted: it still opens old epochs, and may not sign. */
  readonly isMember: boolean;
  /** Keys of the epoch that the membership names; reading it throws `no-key` when this host cannot open that one. */
  readonly currentEpoch: EpochKeys;
  /** Every authentic epoch, ascending, whether or not this host opens it. */
  readonly epochs: readonly number[];
  /** The epoch that introduced the newest key generation; ahead of the membership's while an eviction or rotation is under way. */
  readonly newestEpoch: number;
  /** Nodes that any authentic epoch leaves out: none of them is a member ever again, whatever memberships are left. */
  readonly evicted: ReadonlySet<NodeId>;
  /** Epochs that no evicted node could open, ascending: the newest, and before it back to the last eviction. */
  readonly epochsSinceEviction: readonly number[];
  /** The cluster key generation inside this host's sealed credential. */
  readonly sealedGeneration: number;
  /** The generation that signed a member's credential: lower than the newest until the node has resealed it. */
  credentialGeneration(nodeId: NodeId): number | undefined;
  /** Throws `no-key` for an epoch that this host cannot open, or that does not exist. */
  epochKeys(epoch: number): EpochKeys;
  /** By the authentic slots of the node's credential in the membership; empty for others. */
  epochsOpenableBy(nodeId: NodeId): ReadonlySet<number>;
  /**
   * The payload of a document that the cluster wrote. Throws `forged`; `damaged` and `version-incompatible` when it cannot
   * be read. A document signed by an earlier generation counts only if it is in the accepted past of the newest.
   */
  verify(type: DocumentType, bytes: Uint8Array): unknown;
  /** The same for one of many: rejects with what `verify` throws, and leaves this thread free meanwhile. */
  verifyAside(type: 'manifest' | 'verification', bytes: Uint8Array): Promise<unknown>;
  /**
   * Whether an earlier generation signed a document that does not count any more, because it was not there when that
   * generation ended. Throws as `verify` does for what cannot be read or is another cluster's.
   */
  isDisowned(type: 'manifest', bytes: Uint8Array): boolean;
  /** Whether a document for which `verify` throws `version-incompatible` is the cluster's, written by a newer version. */
  isNewerOfCluster(type: DocumentType, bytes: Uint8Array): boolean;
  /** Throws `not-permitted` on a host that is not a member, `no-key` where the signing key cannot be opened. */
  sign(type: DocumentType, payload: object): Buffer;
  /**
   * Authenticates what this host keeps of documents that `verify` found authentic: another key whenever it might judge
   * otherwise. `undefined` where this host cannot open the current epoch.
   */
  catalogCacheKey(): Buffer | undefined;
  /**
   * Signed slots of every epoch for a node. Throws `not-permitted` for an evicted one, `no-key` when this host cannot
   * open all of them.
   */
  wrapRootKeys(recipient: SlotRecipient): Promise<KeyringDocument[]>;
  /**
   * The next key generation with its epoch, wrapped to every member that is not evicted: the slots, then the epoch document,
   * in the order in which they must be stored. Throws as `sign` does.
   */
  newGeneration(next: NextGeneration, ports: KeyPorts): Promise<KeyringDocument[]>;
  /** The whole authentic keyring, sorted by path. */
  readonly documents: readonly KeyringDocument[];
  /** What lay beside it and counts for nothing. */
  readonly rejected: readonly RejectedDocument[];
  /** Digests of everything that it was opened from, `documents` and `rejected`. */
  readonly seen: ReadonlySet<string>;
}

export interface KeyringParts {
  readonly clusterId: ClusterId;
  readonly nodeId: NodeId;
  readonly credentialId: CredentialId;
  readonly history: KeyHistory;
  readonly membership: ChosenMembership;
  readonly slots: readonly SlotPayload[];
  /** Those this host opened, by epoch; checked against the commitment. */
  readonly rootKeys: ReadonlyMap<number, Buffer>;
  readonly sealedGeneration: number;
  /** Which generation signed a credential, by credential id. */
  readonly credentialGenerations: ReadonlyMap<CredentialId, number>;
  readonly documents: readonly KeyringDocument[];
  readonly rejected: readonly RejectedDocument[];
  readonly seen: ReadonlySet<string>;
}

/** Keys live in this closure only. */
export function assembleKeyring(parts: KeyringParts): OpenedKeyring {
  const { clusterId, nodeId, credentialId, history, membership, rootKeys } = parts;
  const { newest } = history;
  const isMember = memberWith(membership, nodeId, credentialId) !== undefined;
  const keysByEpoch = new Map([...rootKeys].map(([epoch, key]) => [epoch, deriveEpochKeys(key, clusterId, epoch)]));
  const signingKey = openNewestSigningKey(clusterId, history, keysByEpoch);
  const epochKeys = (epoch: number): EpochKeys => keysByEpoch.get(epoch) ?? throwNoKey(parts, epoch);
  const signer = (): Signer => {
    if (!isMember) throw notMember(nodeId, membership);
    if (signingKey === undefined) throwNoKey(parts, newest.payload.epoch);
    return { keyGeneration: newest.generation.keyGeneration, privateKey: signingKey };
  };
  return {
    clusterId,
    nodeId,
    credentialId,
    keyGeneration: newest.generation.keyGeneration,
    fingerprint: newest.generation.fingerprint,
    fingerprints: new Set([...history.generations.values()].map(({ fingerprint }) => fingerprint)),
    verifyKey: newest.generation.verifyKey,
    membership,
    missesMemberships: membership.isBehind,
    nextMembershipNumber: membership.nextNumber,
    isMember,
    get currentEpoch() {
      return epochKeys(membership.currentEpoch);
    },
    epochs: [...history.epochs.keys()].toSorted((a, b) => a - b),
    newestEpoch: newest.payload.epoch,
    evicted: history.evicted,
    epochsSinceEviction: history.epochsSinceEviction,
    sealedGeneration: parts.sealedGeneration,
    credentialGeneration: (node) =>
      parts.credentialGenerations.get(membership.nodes.find((member) => member.nodeId === node)?.credentialId ?? ''),
    epochKeys,
    epochsOpenableBy: (node) => epochsOpenableBy(parts, node),
    verify: (type, bytes) => authenticate(clusterId, history, type, bytes).payload,
    verifyAside: (type, bytes) => authenticateAside(clusterId, history, type, bytes),
    isDisowned: (type, bytes) => isDisowned(clusterId, history, type, bytes),
    isNewerOfCluster: (type, bytes) => isNewerOfCluster(clusterId, history, type, bytes),
    sign: (type, payload) => signDocument(type, clusterId, payload, [signer()]),
    catalogCacheKey: () => catalogCacheKey(parts),
    wrapRootKeys: (recipient) => wrapRootKeys(parts, recipient, signer()),
    newGeneration: (next, ports) =>
      newGenerationDocuments(
        { clusterId, ...newest.generation, ...signer(), members: membership.nodes, membership },
        next,
        ports,
      ),
    documents: parts.documents,
    rejected: parts.rejected,
    seen: parts.seen,
  };
}

function openNewestSigningKey(
  clusterId: ClusterId,
  { newest }: KeyHistory,
  keysByEpoch: ReadonlyMap<number, EpochKeys>,
): KeyObject | undefined {
  const keys = keysByEpoch.get(newest.payload.epoch);
  return keys === undefined ? undefined : openSigningKey(keys, clusterId, newest.payload);
}

function catalogCacheKey({ clusterId, history, membership, rootKeys }: KeyringParts): Buffer | undefined {
  const rootKey = rootKeys.get(membership.currentEpoch);
  if (rootKey === undefined) return undefined;
  // The accepted past is part of the epoch documents.
  const epochs = [...history.epochs.values()].map(({ entry }) => entry.digest).toSorted();
  const judgedBy = encodeFields('enclave-manager/1/history', [history.newest.generation.fingerprint, ...epochs]);
  return deriveCatalogCacheKey(
    rootKey,
    clusterId,
    membership.currentEpoch,
    createHash('sha256').update(judgedBy).digest(),
  );
}

function epochsOpenableBy({ membership, slots, history }: KeyringParts, nodeId: NodeId): ReadonlySet<number> {
  const member = membership.nodes.find((node) => node.nodeId === nodeId);
  const own = slots.filter(
    (slot) =>
      slot.nodeId === nodeId &&
      slot.credentialId === member?.credentialId &&
      slot.hardwareIdentity === member.hardwareIdentity &&
      history.epochs.has(slot.epoch),
  );
  return new Set(own.map(({ epoch }) => epoch).toSorted((a, b) => a - b));
}

async function wrapRootKeys(parts: KeyringParts, node: SlotRecipient, signer: Signer): Promise<KeyringDocument[]> {
  if (parts.history.evicted.has(node.nodeId)) throw notMember(node.nodeId, parts.membership);
  const epochs = [...parts.history.epochs.keys()].toSorted((a, b) => a - b);
  return Promise.all(
    epochs.map((epoch) => {
      const rootKey = parts.rootKeys.get(epoch) ?? throwNoKey(parts, epoch);
      return newSlotDocument(parts.clusterId, epoch, rootKey, node, signer);
    }),
  );
}

function throwNoKey(parts: KeyringParts, epoch: number): never {
  if (!parts.history.epochs.has(epoch)) {
    const known = [...parts.history.epochs.keys()].toSorted((a, b) => a - b).join(', ');
    throw new EnclaveManagerError('no-key', `The keyring has no authentic epoch ${epoch}; it has ${known}.`, {
      hint: 'Put keyring/epochs/ back from a copy; every manifest carries the keyring documents of its time.',
    });
  }
  const openers = parts.membership.nodes.filter(({ nodeId }) => epochsOpenableBy(parts, nodeId).has(epoch));
  const names = openers.map(({ name }) => name).join(', ') || 'none of the enrolled hosts';
  throw new EnclaveManagerError('no-key', `No key on this host opens epoch ${epoch}. Openable by: ${names}.`);
}

/**
 * Throws `not-permitted` on a host that was evicted, or is being evicted: what it writes counts nowhere, and what it would
 * have others do it may not.
 */
export function requireMember({ isMember, nodeId, membership }: OpenedKeyring): void {
  if (!isMember) throw notMember(nodeId, membership);
}

export function notMember(nodeId: NodeId, membership: Membership): EnclaveManagerError {
  return new EnclaveManagerError(
    'not-permitted',
    `This host's node ${nodeId} is not in membership ${membership.number} of the cluster, so it may not sign for it.`,
    { hint: 'Use an enrolled host (node list), or enrol this one again: node invite, then node enrol.' },
  );
}
