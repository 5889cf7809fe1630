import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { newTokenHint } from '#keys/join-token.ts';
import { openColumn, sealColumn, sealedColumnEpoch } from '#keys/sealed-column.ts';
import type { Clock } from '#ports/clock.ts';
import type { Randomness } from '#ports/randomness.ts';
import { refusalText } from './join-requests.ts';
import { epochOrUndefined, requireNewestEpoch, type ColumnKeys } from './sealed-values.ts';
import { serverNow, serverTimeAfter } from './server-time.ts';
import { tablesOf, type Queries } from './tables.ts';

/** A one-time permission to ask for enrolment. The token itself is nowhere in the database, its MAC key is sealed. */
export interface Invite {
  readonly inviteId: string;
  readonly macKey: Uint8Array;
  /** The only hardware that may use it. */
  readonly hardwareIdentity?: string | undefined;
  readonly createdBy: string;
  /** How long it can be used, by the database's time. */
  readonly ttlMs: number;
}

/** What a manager keeps of an invite, sealed: whoever writes to the database cannot change whom it is for. */
export interface OpenedInvite {
  /** 32 bytes. */
  readonly macKey: Buffer;
  readonly hardwareIdentity: string | undefined;
}

const macKeyBytes = 32;

const contentsOf = ({ macKey, hardwareIdentity = '' }: Invite): Buffer =>
  Buffer.concat([macKey, Buffer.from(hardwareIdentity)]);

export interface InviteRow {
  readonly inviteId: string;
  readonly createdBy: string;
  readonly createdAt: Date;
  readonly expiresAt: Date;
  readonly usedAt: Date | null;
}

const place = (inviteId: string) => ({ table: 'node_invites', column: 'sealed_mac_key', key: inviteId });

export async function saveInvite(
  queries: Queries,
  keys: ColumnKeys,
  invite: Invite,
  ports: { readonly randomness: Randomness },
): Promise<void> {
  await requireNewestEpoch(queries, keys);
  await tablesOf(queries)
    .insertInto('node_invites')
    .values({
      invite_id: invite.inviteId,
      sealed_mac_key: sealColumn(keys.currentEpoch, place(invite.inviteId), contentsOf(invite), ports.randomness),
      created_by: invite.createdBy,
      created_at: serverNow,
      expires_at: serverTimeAfter(invite.ttlMs),
    })
    .execute();
}

/** With its MAC key a join request is checked; `not-permitted` once the invite is used or expired. Does not use it up. */
export async function openInvite(queries: Queries, keys: ColumnKeys, inviteId: string): Promise<OpenedInvite> {
  const row = await tablesOf(queries)
    .selectFrom('node_invites')
    .select('sealed_mac_key')
    .where('invite_id', '=', inviteId)
    .where('used_at', 'is', null)
    .where('expires_at', '>', serverNow)
    .executeTakeFirst();
  if (row === undefined) throw await refusal(queries, inviteId);
  // Hosts evicted since then know the keys of earlier epochs, and could have made such a row themselves.
  if (sealedColumnEpoch(place(inviteId), row.sealed_mac_key) !== keys.currentEpoch.epoch) throw outdated(inviteId);
  const contents = openColumn(keys, place(inviteId), row.sealed_mac_key);
  const hardwareIdentity = contents.toString('utf8', macKeyBytes);
  return {
    macKey: contents.subarray(0, macKeyBytes),
    hardwareIdentity: hardwareIdentity === '' ? undefined : hardwareIdentity,
  };
}

/** Ends every invite that is not of the current epoch, with the requests that wait under it. */
export async function revokeOutdatedInvites(
  queries: Queries,
  { currentEpoch }: ColumnKeys,
  ports: { readonly clock: Clock },
): Promise<number> {
  const rows = await tablesOf(queries)
    .selectFrom('node_invites')
    .select(['invite_id', 'sealed_mac_key'])
    .where('expires_at', '>', serverNow)
    .execute();
  const old = rows.filter((row) => epochOrUndefined(place(row.invite_id), row.sealed_mac_key) !== currentEpoch.epoch);
  for (const { invite_id: inviteId } of old) {
    await tablesOf(queries)
      .updateTable('node_invites')
      .set({ expires_at: serverNow })
      .where('invite_id', '=', inviteId)
      .execute();
    await tablesOf(queries)
      .updateTable('join_requests')
      .set({ status: 'REFUSED', reason: refusalText(outdated(inviteId)), decided_at: ports.clock.now() })
      .where('invite_id', '=', inviteId)
      .where('status', '=', 'PENDING')
      .execute();
  }
  return old.length;
}

function outdated(inviteId: string): EnclaveManagerError {
  return new EnclaveManagerError(
    'not-permitted',
    `the invite ${inviteId} was made before the keys of the cluster changed`,
    { hint: newTokenHint },
  );
}

/** Uses the invite up, in the transaction that admits the node; `not-permitted` when somebody was faster or it expired. */
export async function useInvite(queries: Queries, inviteId: string): Promise<void> {
  const result = await tablesOf(queries)
    .updateTable('node_invites')
    .set({ used_at: serverNow })
    .where('invite_id', '=', inviteId)
    .where('used_at', 'is', null)
    .where('expires_at', '>', serverNow)
    .executeTakeFirst();
  if (result.numUpdatedRows !== 1n) throw await refusal(queries, inviteId);
}

/** Newest first. */
export async function listInvites(queries: Queries): Promise<InviteRow[]> {
  const rows = await tablesOf(queries)
    .selectFrom('node_invites')
    .select(['invite_id', 'created_by', 'created_at', 'expires_at', 'used_at'])
    .orderBy('invite_id', 'desc')
    .execute();
  return rows.map((row) => ({
    inviteId: row.invite_id,
    createdBy: row.created_by,
    createdAt: row.created_at,
    expiresAt: row.expires_at,
    usedAt: row.used_at,
  }));
}

async function refusal(queries: Queries, inviteId: string): Promise<EnclaveManagerError> {
  const row = await tablesOf(queries)
    .selectFrom('node_invites')
    .select(['used_at', 'expires_at'])
    .where('invite_id', '=', inviteId)
    .executeTakeFirst();
  const hint = newTokenHint;
  if (row === undefined) return new EnclaveManagerError('not-permitted', `there is no invite ${inviteId}`, { hint });
  const why = row.used_at === null ? `expired at ${row.expires_at.toISOString()}` : 'was used already';
  return new EnclaveManagerError('not-permitted', `the invite ${inviteId} ${why}`, { hint });
}
