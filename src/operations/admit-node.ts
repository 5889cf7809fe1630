import { errorCodes } from '#errors/codes.ts';
import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { admitNode, type HardwareProof, readJoinRequest } from '#keys/enrolment.ts';
import { newTokenHint, sameToken } from '#keys/join-token.ts';
import { membersSchema } from '#keys/payloads.ts';
import type { NodeId } from '#model/identifiers.ts';
import { appendAuditEvent } from '#store/audit.ts';
import type { Lease } from '#store/held-lease.ts';
import { openInvite, useInvite } from '#store/invites.ts';
import { decideJoinRequest, pendingJoinRequests, type JoinRequest, type Refusal } from '#store/join-requests.ts';
import { saveKeyringDocuments } from '#store/keyring-documents.ts';
import { requireLease } from '#store/lease-rows.ts';
import { requireNoMaintenance } from '#store/maintenance.ts';
import { syncNodes } from '#store/nodes.ts';
import { completeKeyring } from './adopt-repository.ts';
import type { Cluster, OperationContext } from './context.ts';
import type { HardwareTrust } from './hardware-trust.ts';
import { proveHardware } from './prove-hardware.ts';
import { closeBegunEpochs } from './store-keys.ts';

/**
 * Decides waiting join requests until one is admitted; a running manager does this all the time, one manager at a time:
 * it holds `lease`, and opened the keyring under it. Resolves with the id of the node that was admitted, after which the
 * keyring must be opened again. An admission that was interrupted anywhere is begun again with the same documents.
 */
export async function admitJoinRequests(
  context: OperationContext,
  cluster: Cluster,
  lease: Lease,
  trust: HardwareTrust = {},
): Promise<NodeId[]> {
  const admitted: NodeId[] = [];
  for (const request of await pendingJoinRequests(cluster.database.queries)) {
    const nodeId = await decide(context, cluster, lease, request, trust);
    if (nodeId !== undefined) admitted.push(nodeId);
    // The keyring is one membership further now; the next request is for the keyring that the caller opens then.
    if (nodeId !== undefined) break;
  }
  return admitted;
}

async function decide(
  context: OperationContext,
  cluster: Cluster,
  lease: Lease,
  joining: JoinRequest,
  trust: HardwareTrust,
): Promise<NodeId | undefined> {
  const admission = await check(context, cluster, joining, trust);
  if (admission === undefined) return undefined;
  context.crashPoints.reach('admit.checked');
  await admit(context, cluster, lease, joining, admission);
  return admission.nodeId;
}

type Admission = Awaited<ReturnType<typeof admitNode>> & { readonly proof: HardwareProof };

const refusals = ['not-permitted', 'usage', 'damaged', 'forged', 'evidence-rejected'];

/** For whoever reads it on the host that asked: what is wrong with the stored bytes, a new token gets round. */
function refusalOf({ code, message, hint }: EnclaveManagerError): Refusal {
  if (code === 'evidence-rejected') return { message, hint: evidenceHint };
  return { message, hint: hint === errorCodes[code].hint ? newTokenHint : hint };
}

const evidenceHint =
  'For an SGX enclave see that ENCLAVE_MANAGER_SGX_COLLATERAL on the enrolled hosts is of its platform and in force, and that ' +
  `ENCLAVE_MANAGER_SGX_SIGNERS names its signer. Then run this again; ${sameToken}.`;

/** Refuses what is wrong with the request itself; `undefined` then. What fails later is no reason to refuse a host. */
async function check(
  context: OperationContext,
  cluster: Cluster,
  joining: JoinRequest,
  trust: HardwareTrust,
): Promise<Admission | undefined> {
  const { request, mac, inviteId } = joining;
  try {
    const invite = await openInvite(cluster.database.queries, cluster.keyring, inviteId);
    const { macKey } = invite;
    const asked = { stored: joining, request: readJoinRequest(request, mac, macKey), invite };
    const proof = await proveHardware(context, cluster, asked, trust);
    if (proof === undefined) return undefined;
    return { ...(await admitNode(cluster.keyring, { request, mac, macKey }, context, proof)), proof };
  } catch (error) {
    if (!(error instanceof EnclaveManagerError) || !refusals.includes(error.code)) throw error;
    const decision = { status: 'REFUSED', refusal: refusalOf(error) } as const;
    await decideJoinRequest(cluster.database.queries, joining.joinRequestId, decision, context);
    return undefined;
  }
}

/**
 * Slots reach the repository before the membership that makes them count, and the database decides which of two
 * managers is faster. A membership that is missing in the repository after a crash is written by the next start or backup.
 */
async function admit(
  context: OperationContext,
  { keyring, database, store }: Cluster,
  lease: Lease,
  joining: JoinRequest,
  { documents, nodeId, replaces, proof }: Admission,
): Promise<void> {
  const members = documents.at(-1)!;
  await lease.assertHeld();
  if (store !== undefined) {
    await closeBegunEpochs(store, keyring, { check: () => lease.assertHeld() });
    await completeKeyring(store, documents.slice(0, -1));
  }
  context.crashPoints.reach('admit.slots-written');
  context.signal.throwIfAborted();
  await database.transaction(async (queries) => {
    await requireLease(queries, lease.token);
    await requireNoMaintenance(queries);
    await useInvite(queries, joining.inviteId);
    await saveKeyringDocuments(queries, documents);
    await syncNodes(queries, membersSchema.parse(keyring.verify('members', members.bytes)), context);
    if (!(await decideJoinRequest(queries, joining.joinRequestId, { status: 'ADMITTED', nodeId }, context)))
      throw withdrawn(joining);
    await appendAuditEvent(
      queries,
      {
        type: 'NODE_STATUS',
        action: replaces === undefined ? 'node enrolled' : 'node enrolled again',
        actor: context.holder,
        subject: nodeId,
        details: { inviteId: joining.inviteId, grade: proof.grade, ...(replaces === undefined ? {} : { replaces }) },
      },
      context,
    );
  });
  context.crashPoints.reach('admit.recorded');
  if (store !== undefined) await completeKeyring(store, documents);
  context.crashPoints.reach('admit.keyring-written');
}

const withdrawn = ({ joinRequestId }: JoinRequest): EnclaveManagerError =>
  new EnclaveManagerError('lease-held', `the join request ${joinRequestId} was withdrawn in the last moment`);
