import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { newTokenHint } from '#keys/join-token.ts';
import { uuidv7 } from '#model/identifiers.ts';
import type { Clock } from '#ports/clock.ts';
import type { Randomness } from '#ports/randomness.ts';
import { tablesOf, type Queries, type Tables } from './tables.ts';

/** What a new host asks; everything in it is a claim until the MAC was checked. */
export interface JoinRequest {
  readonly joinRequestId: string;
  readonly inviteId: string;
  readonly request: Buffer;
  readonly mac: Buffer;
  readonly status: Tables['join_requests']['status'];
  /** Why it was refused. */
  readonly reason: string | null;
  /** What its host can do then; `null` where a manager of an earlier release refused it. */
  readonly hint: string | null;
  /** Set once admitted. */
  readonly nodeId: string | null;
  readonly createdAt: Date;
  /** What its hardware is asked to prove; `null` until a manager asked. */
  readonly challenge: Buffer | null;
  readonly answer: Buffer | null;
}

const maxRequestBytes = 65_536;
const maxMacBytes = 64;
const maxPendingPerInvite = 3;

/** Leaves a request for a running manager and returns its id. `not-permitted` without such an invite, or with too many requests under it. */
export async function submitJoinRequest(
  queries: Queries,
  request: { readonly inviteId: string; readonly request: Buffer; readonly mac: Buffer },
  ports: { readonly clock: Clock; readonly randomness: Randomness },
): Promise<string> {
  if (request.request.length > maxRequestBytes || request.mac.length > maxMacBytes) {
    throw new EnclaveManagerError('usage', `a join request has at most ${maxRequestBytes} bytes`);
  }
  const invited = await tablesOf(queries)
    .selectFrom('node_invites')
    .select('invite_id')
    .where('invite_id', '=', request.inviteId)
    .executeTakeFirst();
  const pending = await waitingUnder(queries, request.inviteId);
  if (invited === undefined || pending >= maxPendingPerInvite) {
    const why = invited === undefined ? 'is not known' : `has ${pending} requests waiting already`;
    throw new EnclaveManagerError('not-permitted', `the invite ${request.inviteId} ${why}`, {
      hint:
        invited === undefined
          ? newTokenHint
          : `No manager has answered them: see that one runs on an enrolled host (enclave-manager serve). ${newTokenHint}`,
    });
  }
  const now = ports.clock.now();
  const joinRequestId = uuidv7(now, ports.randomness.bytes(10));
  await tablesOf(queries)
    .insertInto('join_requests')
    .values({
      join_request_id: joinRequestId,
      invite_id: request.inviteId,
      request: request.request,
      mac: request.mac,
      status: 'PENDING',
      created_at: now,
    })
    .execute();
  return joinRequestId;
}

async function waitingUnder(queries: Queries, inviteId: string): Promise<number> {
  const rows = await tablesOf(queries)
    .selectFrom('join_requests')
    .select('join_request_id')
    .where('status', '=', 'PENDING')
    .where('invite_id', '=', inviteId)
    .limit(maxPendingPerInvite)
    .execute();
  return rows.length;
}

/** What a manager can go on with: not those that it waits for to answer. Oldest first, at most 100. */
export async function pendingJoinRequests(queries: Queries): Promise<JoinRequest[]> {
  const rows = await tablesOf(queries)
    .selectFrom('join_requests')
    .selectAll()
    .where('status', '=', 'PENDING')
    .where((where) => where.or([where('challenge', 'is', null), where('answer', 'is not', null)]))
    .orderBy('created_at')
    .orderBy('join_request_id')
    .limit(100)
    .execute();
  return rows.map(fromRow);
}

export async function readJoinRequest(queries: Queries, joinRequestId: string): Promise<JoinRequest | undefined> {
  const row = await tablesOf(queries)
    .selectFrom('join_requests')
    .selectAll()
    .where('join_request_id', '=', joinRequestId)
    .executeTakeFirst();
  return row === undefined ? undefined : fromRow(row);
}

/** Asks once: a second challenge changes nothing. */
export async function challengeJoinRequest(queries: Queries, joinRequestId: string, challenge: Buffer): Promise<void> {
  await tablesOf(queries)
    .updateTable('join_requests')
    .set({ challenge })
    .where('join_request_id', '=', joinRequestId)
    .where('status', '=', 'PENDING')
    .where('challenge', 'is', null)
    .execute();
}

export async function answerJoinRequest(queries: Queries, joinRequestId: string, answer: Buffer): Promise<void> {
  await tablesOf(queries)
    .updateTable('join_requests')
    .set({ answer })
    .where('join_request_id', '=', joinRequestId)
    .where('status', '=', 'PENDING')
    .where('answer', 'is', null)
    .execute();
}

export type JoinDecision =
  | { readonly status: 'ADMITTED'; readonly nodeId: string }
  | { readonly status: 'REFUSED'; readonly refusal: Refusal };

export interface Refusal {
  readonly message: string;
  readonly hint: string;
}

const maxCharacters = 1000;

/** One column holds both: the reason in its first line, the hint in the second. */
export const refusalText = (refusal: Refusal): string =>
  [refusal.message, refusal.hint].map((text) => text.replaceAll(/\s+/g, ' ').slice(0, maxCharacters)).join('\n');

/** A decision is final; `false` when another manager had decided before. */
export async function decideJoinRequest(
  queries: Queries,
  joinRequestId: string,
  decision: JoinDecision,
  ports: { readonly clock: Clock },
): Promise<boolean> {
  const result = await tablesOf(queries)
    .updateTable('join_requests')
    .set({
      status: decision.status,
      ...(decision.status === 'ADMITTED' ? { node_id: decision.nodeId } : { reason: refusalText(decision.refusal) }),
      decided_at: ports.clock.now(),
    })
    .where('join_request_id', '=', joinRequestId)
    .where('status', '=', 'PENDING')
    .executeTakeFirst();
  return result.numUpdatedRows === 1n;
}

function fromRow(row: Tables['join_requests']): JoinRequest {
  const [reason, hint] = row.reason?.split('\n', 2) ?? [];
  return {
    joinRequestId: row.join_request_id,
    inviteId: row.invite_id,
    request: row.request,
    mac: row.mac,
    status: row.status,
    reason: reason ?? null,
    hint: hint ?? null,
    nodeId: row.node_id,
    createdAt: row.created_at,
    challenge: row.challenge,
    answer: row.answer,
  };
}
