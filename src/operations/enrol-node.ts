import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { admitNode, findClusterKey, newInvite, newJoinRequest, parseToken } from '#keys/enrolment.ts';
import { openKeyring } from '#keys/keyring.ts';
import { membersSchema } from '#keys/payloads.ts';
import type { NodeId } from '#model/identifiers.ts';
import type { Database } from '#ports/database.ts';
import { appendAuditEvent } from '#store/audit.ts';
import { readInviteKey, saveInvite, useInvite } from '#store/invites.ts';
import {
  decideJoinRequest,
  pendingJoinRequests,
  readJoinRequest,
  submitJoinRequest,
  type JoinRequest,
} from '#store/join-requests.ts';
import { readKeyringDocuments, saveKeyringDocuments } from '#store/keyring-documents.ts';
import { syncNodes } from '#store/nodes.ts';
import { completeKeyring } from './adopt-repository.ts';
import type { Cluster, Host, OperationContext } from './context.ts';
import { rememberNode } from './remember-node.ts';

export interface InviteResult {
  readonly inviteId: string;
  /** Show it once, to the person who enrols the new host; it is stored nowhere. */
  readonly token: string;
  readonly expiresInMs: number;
}

const inviteTtlMs = 24 * 60 * 60 * 1000;

/** Makes a one-time token with which one further host may ask to be enrolled. */
export async function inviteNode(context: OperationContext, cluster: Cluster): Promise<InviteResult> {
  const { keyring, database } = cluster;
  const { inviteId, token, macKey } = newInvite(keyring, context.randomness);
  await database.transaction(async (queries) => {
    await saveInvite(queries, keyring, { inviteId, macKey, createdBy: context.holder, ttlMs: inviteTtlMs }, context);
    await appendAuditEvent(
      queries,
      { type: 'NODE_STATUS', action: 'node invited', actor: context.holder, subject: inviteId, details: {} },
      context,
    );
  });
  return { inviteId, token, expiresInMs: inviteTtlMs };
}

export interface EnrolResult {
  readonly nodeId: NodeId;
  readonly name: string;
  readonly clusterId: string;
  readonly clusterKey: string;
  readonly epochs: readonly number[];
}

const pollMs = 500;

/**
 * Asks for enrolment and waits for a running manager to decide. The token proves the cluster to this host, and this
 * host to the cluster. Throws `not-permitted` when refused, `not-found` when nobody answered in time.
 */
export async function enrolNode(
  context: OperationContext,
  host: Host,
  options: { readonly token: string; readonly waitMs: number },
): Promise<EnrolResult> {
  const { server, sealing, localState, node } = host;
  const token = parseToken(options.token);
  const database = server.open(server.liveName, { connections: 2 });
  try {
    const clusterKey = findClusterKey(await readKeyringDocuments(database.queries), token.fingerprint);
    await sealing.provision();
    const joining = await newJoinRequest({ ...context, ...clusterKey, token: options.token, sealing }, node);
    const joinRequestId = await submitJoinRequest(
      database.queries,
      { inviteId: token.inviteId, request: joining.request, mac: joining.mac },
      context,
    );
    context.progress.note('asked to be enrolled; waiting for a running manager to answer');
    try {
      await waitForDecision(context, database, joinRequestId, options.waitMs);
    } catch (error) {
      await withdraw(context, database, joinRequestId);
      throw error;
    }
    const keyring = await openKeyring(await readKeyringDocuments(database.queries), sealing);
    await rememberNode({ keyring, localState }, sealing);
    const epochs = [...keyring.epochsOpenableBy(keyring.nodeId)];
    return {
      nodeId: keyring.nodeId,
      name: node.name,
      clusterId: keyring.clusterId,
      clusterKey: keyring.fingerprint,
      epochs,
    };
  } finally {
    await database.close();
  }
}

/** Nobody waits any more: a manager that starts later must not enrol a host that may be gone by then. */
async function withdraw(context: OperationContext, database: Database, joinRequestId: string): Promise<void> {
  const reason = 'the host stopped waiting';
  await decideJoinRequest(database.queries, joinRequestId, { status: 'REFUSED', reason }, context).catch(() => {});
}

async function waitForDecision(
  context: OperationContext,
  database: Database,
  joinRequestId: string,
  waitMs: number,
): Promise<void> {
  const giveUpAt = context.clock.monotonicMs() + waitMs;
  for (;;) {
    const request = await readJoinRequest(database.queries, joinRequestId);
    if (request?.status === 'ADMITTED') return;
    if (request?.status === 'REFUSED')
      throw new EnclaveManagerError('not-permitted', `the cluster refused this host: ${request.reason}`, {
        hint: 'If this host is enrolled already, nothing is left to do; otherwise make a new token on an enrolled host: node invite.',
      });
    if (context.clock.monotonicMs() > giveUpAt) {
      throw new EnclaveManagerError('not-found', `no running manager answered within ${Math.round(waitMs / 1000)} s`, {
        hint: 'Start a manager on an enrolled host (serve), then run this again with a new token: node invite.',
      });
    }
    await context.clock.sleep(pollMs, context.signal);
  }
}

/**
 * Decides waiting join requests until one is admitted; a running manager does this all the time, one manager at a time.
 * Resolves with the id of the node that was admitted, after which the keyring must be opened again. A host whose admission
 * was interrupted is either admitted or told to begin again.
 */
export async function admitJoinRequests(context: OperationContext, cluster: Cluster): Promise<NodeId[]> {
  const admitted: NodeId[] = [];
  for (const request of await pendingJoinRequests(cluster.database.queries)) {
    const nodeId = await decide(context, cluster, request);
    if (nodeId !== undefined) admitted.push(nodeId);
    // The keyring is one membership further now; the next request is for the keyring that the caller opens then.
    if (nodeId !== undefined) break;
  }
  return admitted;
}

async function decide(context: OperationContext, cluster: Cluster, joining: JoinRequest): Promise<NodeId | undefined> {
  const admission = await check(context, cluster, joining);
  if (admission === undefined) return undefined;
  await admit(context, cluster, joining, admission);
  return admission.nodeId;
}

type Admission = Awaited<ReturnType<typeof admitNode>>;

/** Refuses what is wrong with the request itself; `undefined` then. What fails later is no reason to refuse a host. */
async function check(
  context: OperationContext,
  cluster: Cluster,
  joining: JoinRequest,
): Promise<Admission | undefined> {
  const { request, mac, inviteId } = joining;
  try {
    const macKey = await readInviteKey(cluster.database.queries, cluster.keyring, inviteId);
    return await admitNode(cluster.keyring, { request, mac, macKey }, context);
  } catch (error) {
    if (
      !(error instanceof EnclaveManagerError) ||
      !['not-permitted', 'usage', 'damaged', 'forged'].includes(error.code)
    )
      throw error;
    await decideJoinRequest(
      cluster.database.queries,
      joining.joinRequestId,
      { status: 'REFUSED', reason: error.message },
      context,
    );
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
  joining: JoinRequest,
  { documents, nodeId }: Admission,
): Promise<void> {
  const members = documents.at(-1)!;
  if (store !== undefined) await completeKeyring(store, documents.slice(0, -1));
  context.signal.throwIfAborted();
  await database.transaction(async (queries) => {
    await useInvite(queries, joining.inviteId);
    await saveKeyringDocuments(queries, documents);
    await syncNodes(queries, membersSchema.parse(keyring.verify('members', members.bytes)), context);
    await decideJoinRequest(queries, joining.joinRequestId, { status: 'ADMITTED', nodeId }, context);
    await appendAuditEvent(
      queries,
      {
        type: 'NODE_STATUS',
        action: 'node enrolled',
        actor: context.holder,
        subject: nodeId,
        details: { inviteId: joining.inviteId },
      },
      context,
    );
  });
  if (store !== undefined) await completeKeyring(store, documents);
}
