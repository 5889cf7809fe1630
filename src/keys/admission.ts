import { isDeepStrictEqual } from 'node:util';
import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import type { CredentialId, NodeId } from '#model/identifiers.ts';
import { type JoinRequest, readJoinRequest } from './join-request.ts';
import { newTokenHint, sameToken } from './join-token.ts';
import type { KeyringDocument } from './keyring-entry.ts';
import { keyringPath, parseKeyringPath } from './keyring-paths.ts';
import { memberOf } from './new-cluster.ts';
import type { KeyPorts } from './next-generation.ts';
import { nextMembership } from './next-membership.ts';
import type { OpenedKeyring } from './opened-keyring.ts';
import { type CredentialPayload, maxNodes, type MemberNode, membersSchema } from './payloads.ts';

/** What is known of a joining host's hardware. What it says itself of its grade counts for nothing. */
export interface HardwareProof {
  readonly grade: 'unattested' | 'tpm2-confirmed' | 'tpm2-certified' | 'sgx-attested' | 'sgx-out-of-date';
  /** It showed that it is the hardware whose identity it names. */
  readonly isProved: boolean;
}

/**
 * Admits the host that a join request describes: its signed credential, slots of every epoch, and the next membership, in
 * the order in which they must be stored, so that a node is a member only once it can open everything.
 *
 * Throws `not-permitted` for a wrong MAC, for another cluster or key, for hardware, ids or a name that are known already, and on
 * a host that is not a member itself; `no-key` when this host cannot open every epoch; `damaged` for an unusable request; `lease-held`
 * while the keys are being changed.
 */
export async function admitNode(
  keyring: OpenedKeyring,
  received: { readonly request: Uint8Array; readonly mac: Uint8Array; readonly macKey: Uint8Array },
  { clock }: Pick<KeyPorts, 'clock'>,
  proof: HardwareProof = { grade: 'unattested', isProved: false },
): Promise<{ documents: KeyringDocument[]; nodeId: NodeId; replaces: CredentialId | undefined }> {
  checkNotChanging(keyring);
  const request = readJoinRequest(received.request, received.mac, received.macKey);
  checkCluster(keyring, request);
  const { nodes, currentEpoch } = keyring.membership;
  const known = nodes.find((member) => member.hardwareIdentity === request.node.hardwareIdentity);
  const node = { ...request.node, ...placeOf(request.node, known, proof) };
  checkIsNew(keyring, node, known !== undefined);
  checkName(nodes, node, known);
  const { nodeId, credentialId } = node;
  const credential = {
    path: keyringPath({ type: 'credential', nodeId, credentialId }),
    bytes: keyring.sign('credential', node),
  };
  const slots = await keyring.wrapRootKeys(node);
  const member = memberOf(node);
  const named = known === undefined ? [...nodes, member] : nodes.map((each) => (each === known ? member : each));
  const members = nextMembership(keyring, { nodes: named, currentEpoch }, clock.now());
  // Documents are write-once: those that an interrupted admission left are used as they are.
  const present = new Map(keyring.documents.map((document) => [document.path, document]));
  const documents = [credential, ...slots].map((document) => present.get(document.path) ?? document);
  return { documents: [...documents, members], nodeId, replaces: known?.credentialId };
}

/**
 * Hardware that belongs to the cluster already keeps its place, with a new key in it: after a change of firmware the old one does
 * not open any more. It has to prove that it is that hardware; what was known of it then stays known.
 */
function placeOf(
  node: CredentialPayload,
  known: MemberNode | undefined,
  proof: HardwareProof,
): Pick<CredentialPayload, 'nodeId' | 'grade'> {
  if (known === undefined) return { nodeId: node.nodeId, grade: proof.grade };
  if (proof.isProved) return { nodeId: known.nodeId, grade: proof.grade === 'unattested' ? known.grade : proof.grade };
  throw refused(
    `The hardware ${node.hardwareIdentity} is enrolled already, as node ${known.name} (${known.nodeId}).`,
    `If this is another host, the two have one key: name a file of its own here (ENCLAVE_MANAGER_SEALING_KEY_FILE) and run this again; ${sameToken}. ` +
      `If it is that host and its key no longer opens, evict it on an enrolled host first: enclave-manager node evict ${known.nodeId}. ${newTokenHint}`,
  );
}

/** Commands take hosts by their names. */
function checkName(nodes: readonly MemberNode[], { name }: CredentialPayload, known: MemberNode | undefined): void {
  const namesake = nodes.find((member) => member.name === name && member !== known);
  if (namesake === undefined) return;
  throw refused(
    `The name ${name} is that of node ${namesake.nodeId} already.`,
    `Run this again under another name (--node-name, or ENCLAVE_MANAGER_NODE_NAME); ${sameToken}. ` +
      `If that node is gone for good, evict it on an enrolled host instead: enclave-manager node evict ${namesake.nodeId}. ${newTokenHint}`,
  );
}

/**
 * Until the membership names the newest epoch, invites are sealed with keys that a host which is being evicted still knows: it
 * could invite whom it likes, who would then get the new keys.
 */
function checkNotChanging({ membership, newestEpoch }: OpenedKeyring): void {
  if (membership.currentEpoch === newestEpoch) return;
  throw new EnclaveManagerError(
    'lease-held',
    'the keys of the cluster are being changed; nobody is enrolled meanwhile',
    {
      hint: 'A running manager finishes the change, and then answers; keys status shows what is still to do.',
    },
  );
}

function checkCluster(keyring: OpenedKeyring, request: JoinRequest): void {
  const sameKey = keyring.verifyKey.toString('base64') === request.verifyKey;
  if (request.clusterId === keyring.clusterId && request.keyGeneration === keyring.keyGeneration && sameKey) return;
  throw refused(
    `The join request is for key generation ${request.keyGeneration} of cluster ${request.clusterId}, ` +
      `not for generation ${keyring.keyGeneration} (${keyring.fingerprint}) of ${keyring.clusterId}.`,
    newTokenHint,
  );
}

/**
 * An id is used once, also by nodes that were evicted since: a replayed request brings nobody back. The same request may be
 * answered again as long as no membership ever named it, for its admission was interrupted.
 */
function checkIsNew(keyring: OpenedKeyring, node: CredentialPayload, hasPlace: boolean): void {
  const { nodes } = keyring.membership;
  if (isUsed(keyring, node, hasPlace)) {
    throw refused(
      `The node id ${node.nodeId} or the credential id ${node.credentialId} was used before.`,
      newTokenHint,
    );
  }
  if (!hasPlace && nodes.length >= maxNodes) {
    throw refused(
      `The cluster has ${nodes.length} nodes, the most it can have.`,
      `Evict one that is gone, on an enrolled host: enclave-manager node list, then enclave-manager node evict NODE. ${newTokenHint}`,
    );
  }
}

function isUsed(keyring: OpenedKeyring, node: CredentialPayload, hasPlace: boolean): boolean {
  const { nodeId, credentialId } = node;
  if (keyring.evicted.has(nodeId)) return true;
  const names = ({ path }: KeyringDocument) => path.includes(credentialId) || (!hasPlace && path.includes(nodeId));
  const named = keyring.documents.filter(names);
  if (named.length === 0) return false;
  const ownPath = keyringPath({ type: 'credential', nodeId, credentialId });
  const own = named.find(({ path }) => path === ownPath);
  const isSame = own !== undefined && isDeepStrictEqual(keyring.verify('credential', own.bytes), node);
  const onlySlots = named.every(({ path }) => path === ownPath || path.endsWith(`/${nodeId}.${credentialId}.json`));
  return !isSame || !onlySlots || wasMember(keyring, node, hasPlace);
}

/** In any membership there ever was. */
function wasMember(keyring: OpenedKeyring, node: CredentialPayload, hasPlace: boolean): boolean {
  const isNode = (each: MemberNode): boolean =>
    each.credentialId === node.credentialId || (!hasPlace && each.nodeId === node.nodeId);
  return keyring.documents
    .filter(({ path }) => parseKeyringPath(path)?.type === 'members')
    .some(({ bytes }) => membersSchema.parse(keyring.verify('members', bytes)).nodes.some(isNode));
}

function refused(message: string, hint: string): EnclaveManagerError {
  return new EnclaveManagerError('not-permitted', message, { hint });
}
