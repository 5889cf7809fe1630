import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import type { ClusterId, CredentialId } from '#model/identifiers.ts';
import type { Sealing } from '#ports/sealing.ts';
import { authenticateEntries, readEpochRecords, type SlotRecord } from './authentic-entries.ts';
import { rootKeyCommitment } from './epoch-keys.ts';
import { type KeyHistory, resolveHistory } from './generations.ts';
import {
  type KeyringDocument,
  type KeyringEntry,
  readEntries,
  type RejectedDocument,
  sha256Hex,
} from './keyring-entry.ts';
import { chooseMembership, countingMemberships, type Membership, memberWith } from './membership.ts';
import { assembleKeyring, type OpenedKeyring } from './opened-keyring.ts';
import { unwrapRootKey } from './slot.ts';
import {
  noCredentialError,
  readCredentials,
  trustedGeneration,
  unsealCredentials,
  type UnsealedCredential,
} from './unsealed-credential.ts';

export type { KeyringDocument } from './keyring-entry.ts';
export { type OpenedKeyring, requireMember } from './opened-keyring.ts';
export type { MemberNode } from './payloads.ts';
export { newClusterKeyring } from './new-cluster.ts';

export interface OpenKeyringOptions {
  /** A cluster key fingerprint that the history must contain; decides between two authentic successors. */
  readonly clusterKey?: string | undefined;
  /** Where the caller knows whose keyring it wants: documents of other clusters are set aside unopened. */
  readonly clusterId?: ClusterId | undefined;
  /** Digests of what was set aside before and is not given again. */
  readonly seen?: ReadonlySet<string> | undefined;
}

/**
 * Opens the keyring with this host's hardware and nothing else. From the cluster key inside the credential that the hardware
 * opens, everything else is authenticated; what is not authentic is set aside in `rejected` and never used.
 *
 * Throws `no-key` when no credential opens here, `repository-foreign` when those of two clusters do, `forged` when two
 * authentic histories contradict each other, `damaged` when epoch or membership documents are missing or there are too many,
 * and what `sealing` throws. Time grows with the number of documents: one unsealing for each credential of this provider.
 */
export async function openKeyring(
  documents: readonly KeyringDocument[],
  sealing: Sealing,
  { clusterKey, clusterId, seen: before = new Set() }: OpenKeyringOptions = {},
): Promise<OpenedKeyring> {
  const rejected: RejectedDocument[] = [];
  const all = readEntries(documents, rejected);
  const entries = clusterId === undefined ? all : entriesOfCluster(clusterId, all, rejected);
  const seen = new Set([...before, ...documents.map(({ bytes }) => sha256Hex(bytes))]);
  const credentials = readCredentials(entries, rejected);
  const unsealed = await unsealCredentials(credentials, sealing, rejected);
  if (unsealed.length === 0) throw await noCredentialError(credentials, rejected, sealing);
  try {
    return await openWith(unsealed, entries, { rejected, seen, clusterKey });
  } finally {
    for (const { secret } of unsealed) secret.privateKey.fill(0);
  }
}

async function openWith(
  unsealed: readonly UnsealedCredential[],
  entries: readonly KeyringEntry[],
  {
    rejected,
    seen,
    clusterKey,
  }: {
    readonly rejected: RejectedDocument[];
    readonly seen: ReadonlySet<string>;
    readonly clusterKey: string | undefined;
  },
): Promise<OpenedKeyring> {
  const trusted = trustedGeneration(unsealed, clusterKey);
  const { clusterId } = unsealed[0]!.secret;
  const own = entriesOfCluster(clusterId, entries, rejected);
  const history = resolveHistory(trusted, readEpochRecords(own, rejected), clusterKey);
  const authentic = authenticateEntries(clusterId, history, own, rejected);
  const members = countingMemberships(authentic.members, history, rejected);
  const counting = authentic.entries.filter(
    (entry) => entry.place.type !== 'members' || members.some((record) => record.entry === entry),
  );
  const membership = chooseMembership(members, history);
  const opened = unsealed.filter(({ entry }) => authentic.entries.includes(entry));
  const { payload: chosen, secret } = chooseCredential(opened, unsealed, membership);
  const { nodeId, credentialId } = chosen;
  return assembleKeyring({
    clusterId,
    nodeId,
    credentialId,
    history,
    membership,
    sealedGeneration: secret.keyGeneration,
    credentialGenerations: credentialGenerations(authentic.entries),
    slots: authentic.slots.map(({ payload }) => payload),
    rootKeys: await openSlots(clusterId, history, authentic.slots, opened, rejected),
    documents: counting.map(({ path, bytes }) => ({ path, bytes })),
    rejected,
    seen,
  });
}

function entriesOfCluster(
  clusterId: string,
  entries: readonly KeyringEntry[],
  rejected: RejectedDocument[],
): readonly KeyringEntry[] {
  return entries.filter(({ path, document }) => {
    if (document.clusterId === clusterId) return true;
    rejected.push({ path, reason: `belongs to cluster ${document.clusterId}` });
    return false;
  });
}

function credentialGenerations(entries: readonly KeyringEntry[]): ReadonlyMap<CredentialId, number> {
  return new Map(
    entries.flatMap(({ place, document }) =>
      place.type === 'credential' ? [[place.credentialId, document.signatures[0]!.keyGeneration] as const] : [],
    ),
  );
}

/** The credential in the membership; on an evicted host the newest one that was authentic. */
function chooseCredential(
  opened: readonly UnsealedCredential[],
  unsealed: readonly UnsealedCredential[],
  membership: Membership,
): UnsealedCredential {
  const member = opened.find(({ payload }) => memberWith(membership, payload.nodeId, payload.credentialId));
  const [newest] = opened.toSorted((a, b) => b.secret.keyGeneration - a.secret.keyGeneration);
  const chosen = member ?? newest;
  if (chosen !== undefined) return chosen;
  throw new EnclaveManagerError(
    'forged',
    `This host's hardware opens ${unsealed[0]!.entry.path}, but the cluster did not sign that document.`,
    { hint: 'The document was altered or moved: put the keyring back from a copy, or use another enrolled host.' },
  );
}

/** Root keys by epoch. One that does not reproduce the commitment of its epoch is set aside. */
async function openSlots(
  clusterId: string,
  history: KeyHistory,
  slots: readonly SlotRecord[],
  opened: readonly UnsealedCredential[],
  rejected: RejectedDocument[],
): Promise<ReadonlyMap<number, Buffer>> {
  const rootKeys = new Map<number, Buffer>();
  for (const { entry, payload } of slots) {
    const { epoch, nodeId, credentialId, hardwareIdentity } = payload;
    const own = opened.find((other) => other.payload.credentialId === credentialId && other.payload.nodeId === nodeId);
    const commitment = history.epochs.get(epoch)?.payload.rootKeyCommitment;
    if (own === undefined || commitment === undefined) continue;
    const wrapped = {
      encapsulatedKey: Buffer.from(payload.encapsulatedKey, 'base64'),
      ciphertext: Buffer.from(payload.ciphertext, 'base64'),
    };
    const binding = { clusterId, epoch, nodeId, credentialId, hardwareIdentity };
    const rootKey = await unwrapRootKey(wrapped, own.secret.privateKey, binding);
    if (rootKey !== undefined && rootKeyCommitment(rootKey, clusterId, epoch) === commitment) {
      rootKeys.set(epoch, rootKey);
    } else {
      rejected.push({ path: entry.path, reason: 'does not open to the root key of its epoch' });
    }
  }
  return rootKeys;
}
