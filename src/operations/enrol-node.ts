import { EnclaveManagerError, isEnclaveManagerError, toEnclaveManagerError } from '#errors/enclave-manager-error.ts';
import {
  answerJoinChallenge,
  findClusterKey,
  type JoinRequest,
  newInvite,
  newJoinRequest,
  parseToken,
} from '#keys/enrolment.ts';
import { newTokenHint, sameToken } from '#keys/join-token.ts';
import { openKeyring, type OpenedKeyring } from '#keys/keyring.ts';
import type { NodeId } from '#model/identifiers.ts';
import type { Database } from '#ports/database.ts';
import { appendAuditEvent } from '#store/audit.ts';
import { saveInvite } from '#store/invites.ts';
import { answerJoinRequest, decideJoinRequest, readJoinRequest, submitJoinRequest } from '#store/join-requests.ts';
import { readKeyringDocuments } from '#store/keyring-documents.ts';
import { requireNoMaintenance } from '#store/maintenance.ts';
import { junkEpochs } from '#store/sealed-values.ts';
import { completeKeyring } from './adopt-repository.ts';
import { checkMarker } from './check-marker.ts';
import type { Cluster, Host, OperationContext } from './context.ts';
import { rememberNode } from './remember-node.ts';

export interface InviteResult {
  readonly inviteId: string;
  /** Show it once, to the person who enrols the new host; it is stored nowhere. */
  readonly token: string;
  readonly expiresInMs: number;
}

const inviteTtlMs = 24 * 60 * 60 * 1000;

/** Makes a one-time token with which one further host may ask to be enrolled: any, or the one with this hardware. */
export async function inviteNode(
  context: OperationContext,
  cluster: Cluster,
  { hardwareIdentity }: { readonly hardwareIdentity?: string | undefined } = {},
): Promise<InviteResult> {
  const { keyring, database } = cluster;
  for (const epoch of [...junkEpochs(keyring)].toSorted((a, b) => a - b)) {
    if (epoch < keyring.newestEpoch) continue;
    context.progress.note(
      `warning: what is stored as epoch ${epoch} is none that the cluster signed; it counts for nothing`,
    );
  }
  const { inviteId, token, macKey } = newInvite(keyring, context.randomness);
  await database.transaction(async (queries) => {
    await requireNoMaintenance(queries);
    await saveInvite(
      queries,
      keyring,
      { inviteId, macKey, hardwareIdentity, createdBy: context.holder, ttlMs: inviteTtlMs },
      context,
    );
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
  /** How well its hardware was proved. */
  readonly grade: string;
  readonly clusterId: string;
  readonly clusterKey: string;
  readonly epochs: readonly number[];
}

const pollMs = 500;

/**
 * Asks for enrolment and waits for a running manager to decide. The token proves the cluster to this host, and this
 * host to the cluster. Interrupted anywhere, it can be run again with the same token. Throws `not-permitted` when refused,
 * `not-found` when nobody answered in time.
 */
export async function enrolNode(
  context: OperationContext,
  host: Host,
  options: { readonly token: string; readonly waitMs: number },
): Promise<EnrolResult> {
  const { server, sealing, node } = host;
  const token = parseToken(options.token);
  const database = server.open(server.liveName, { connections: 2 });
  try {
    const clusterKey = findClusterKey(await readKeyringDocuments(database.queries), token.fingerprint);
    const enrolled = await openIfMember(database, host);
    if (enrolled !== undefined) {
      notePlaceKept(context, host, enrolled);
      return await conclude(context, host, enrolled);
    }
    await sealing.provision();
    context.crashPoints.reach('enrol.provisioned');
    const joining = await newJoinRequest({ ...context, ...clusterKey, token: options.token, sealing }, node);
    const keyring = await ask(context, database, host, {
      ...joining,
      inviteId: token.inviteId,
      waitMs: options.waitMs,
    });
    context.crashPoints.reach('enrol.admitted');
    return await conclude(context, host, keyring);
  } finally {
    await database.close();
  }
}

/** A membership is signed; who is in it keeps name and site. */
function notePlaceKept({ progress }: OperationContext, { node }: Host, { nodeId, membership }: OpenedKeyring): void {
  const member = membership.nodes.find((each) => each.nodeId === nodeId);
  if (member === undefined) return;
  const site = member.site === null ? 'without a site' : `at site ${member.site}`;
  progress.note(`this host is enrolled already, as ${member.name} ${site}`);
  if (member.name === node.name && member.site === node.site) return;
  progress.note(
    'warning: its name and site stay as they are; to change them, evict it on another host and enrol it anew',
  );
}

interface Asking {
  readonly content: JoinRequest;
  readonly inviteId: string;
  readonly request: Buffer;
  readonly mac: Buffer;
  readonly waitMs: number;
}

/** Resolves with the keyring, once this host is a member. */
async function ask(context: OperationContext, database: Database, host: Host, asking: Asking): Promise<OpenedKeyring> {
  const joinRequestId = await database.transaction(async (queries) => {
    await requireNoMaintenance(queries);
    return await submitJoinRequest(queries, asking, context);
  });
  context.crashPoints.reach('enrol.requested');
  context.progress.note('asked to be enrolled; waiting for a running manager to answer');
  try {
    await waitForDecision(context, database, host, { ...asking, joinRequestId });
  } catch (error) {
    // A request that this host left when it was interrupted before may have been answered first.
    const keyring = isEnclaveManagerError(error, 'not-permitted') ? await openIfMember(database, host) : undefined;
    if (keyring !== undefined) return keyring;
    await withdraw(context, database, joinRequestId);
    throw error;
  }
  return await openKeyring(await readKeyringDocuments(database.queries), host.sealing);
}

/** The keyring, where this host's hardware belongs to the cluster already. */
async function openIfMember(database: Database, { sealing }: Host): Promise<OpenedKeyring | undefined> {
  try {
    const keyring = await openKeyring(await readKeyringDocuments(database.queries), sealing);
    return keyring.isMember ? keyring : undefined;
  } catch (error) {
    if (isEnclaveManagerError(error, 'no-key')) return undefined;
    throw error;
  }
}

async function conclude(context: OperationContext, host: Host, keyring: OpenedKeyring): Promise<EnrolResult> {
  const { localState, sealing } = host;
  await rememberNode({ keyring, localState }, sealing, { against: await localState.read() });
  context.crashPoints.reach('enrol.remembered');
  await shareKeyring(context, host, keyring);
  const member = keyring.membership.nodes.find(({ nodeId }) => nodeId === keyring.nodeId);
  return {
    nodeId: keyring.nodeId,
    name: member?.name ?? host.node.name,
    grade: member?.grade ?? 'unattested',
    clusterId: keyring.clusterId,
    clusterKey: keyring.fingerprint,
    epochs: [...keyring.epochsOpenableBy(keyring.nodeId)],
  };
}

/** The manager that admitted us may have been killed before the repository had the membership, without which the database is the only one that knows us. */
async function shareKeyring(context: OperationContext, { store }: Host, keyring: OpenedKeyring): Promise<void> {
  if (store === undefined) return;
  try {
    await checkMarker(store, keyring);
    await completeKeyring(store, keyring.documents);
  } catch (error) {
    const { message } = toEnclaveManagerError(error);
    context.progress.note(`the keyring in the repository was not looked at: ${message}; the next backup completes it`);
  }
}

/** Nobody waits any more: a manager that starts later must not enrol a host that may be gone by then. */
async function withdraw(context: OperationContext, database: Database, joinRequestId: string): Promise<void> {
  const refusal = { message: 'the host stopped waiting', hint: `Run this again; ${sameToken}.` };
  await decideJoinRequest(database.queries, joinRequestId, { status: 'REFUSED', refusal }, context).catch(() => {});
}

async function waitForDecision(
  context: OperationContext,
  database: Database,
  { sealing }: Host,
  asking: Asking & { readonly joinRequestId: string },
): Promise<void> {
  const { joinRequestId, waitMs } = asking;
  const giveUpAt = context.clock.monotonicMs() + waitMs;
  for (;;) {
    const request = await readJoinRequest(database.queries, joinRequestId);
    if (request?.status === 'ADMITTED') return;
    if (request?.status === 'REFUSED')
      throw new EnclaveManagerError('not-permitted', `the cluster refused this host: ${request.reason}`, {
        hint: request.hint ?? newTokenHint,
      });
    if (request !== undefined && request.challenge !== null && request.answer === null) {
      const answer = await answerJoinChallenge(sealing, asking, asking.content, request.challenge);
      await answerJoinRequest(database.queries, joinRequestId, answer);
    }
    if (context.clock.monotonicMs() > giveUpAt) {
      throw new EnclaveManagerError('not-found', `no running manager answered within ${Math.round(waitMs / 1000)} s`, {
        hint: `See that a manager runs on an enrolled host, on this database: enclave-manager serve. Then run this again, with a longer --wait where it has much to do; ${sameToken}.`,
      });
    }
    await context.clock.sleep(pollMs, context.signal);
  }
}
