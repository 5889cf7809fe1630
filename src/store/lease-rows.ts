import { sql } from 'kysely';
import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import type { Incarnation } from '#model/backup.ts';
import { readCluster } from './cluster.ts';
import { serverNow, serverTimeAfter } from './server-time.ts';
import { tablesOf, type Queries } from './tables.ts';

/** The fencing token: no two takers of a lease ever have the same one. Compared whole. */
export interface LeaseToken {
  readonly name: string;
  /** The database's when the lease was taken; number 0 and zeros where there was no cluster yet. */
  readonly incarnation: Incarnation;
  readonly counter: number;
}

export interface LeaseRequest {
  /** `operation`: whatever writes to the repository or replaces the database. */
  readonly name: string;
  /** What a person calls the taker, such as `host-a (process 4711)`. */
  readonly holder: string;
  /** Without renewal the lease ends this long after it was taken or last renewed, by the server's time. */
  readonly ttlMs: number;
}

const readableNumber = (column: 'counter' | 'incarnation_number') =>
  sql<number | null>`GREATEST(LEAST(${sql.ref(column)}, ${sql.lit(Number.MAX_SAFE_INTEGER)}), 0)`;

const noIncarnation: Incarnation = { number: 0, random: '0'.repeat(16) };
/** The step of a transaction that takes a free or expired lease; nothing renews it afterwards (see `holdLease`). */
export async function takeLease(queries: Queries, { name, holder, ttlMs }: LeaseRequest): Promise<LeaseToken> {
  const tables = tablesOf(queries);
  const incarnation = (await readCluster(queries))?.incarnation ?? noIncarnation;
  await tables
    .insertInto('leases')
    .values({ name, counter: 0 })
    .onConflict((conflict) => conflict.column('name').doNothing())
    .execute();
  const row = await lockLease(queries, name);
  if (row?.live === true) throw leaseHeld(name, row.holder, row.expires_at);
  // One beyond all counting was planted; who may write that may write any token.
  const counter = ((row?.counter ?? 0) % Number.MAX_SAFE_INTEGER) + 1;
  await tables
    .updateTable('leases')
    .set({
      counter,
      holder,
      incarnation_number: incarnation.number,
      incarnation_random: incarnation.random,
      acquired_at: serverNow,
      expires_at: serverTimeAfter(ttlMs),
    })
    .where('name', '=', name)
    .execute();
  return { name, incarnation, counter };
}

/**
 * Makes a write transaction depend on the lease: a holder that was stopped, lost the lease and comes back writes
 * nothing. Call it first in the transaction; until that ends nobody can take the lease over, and it cannot be
 * renewed either, so the transaction must be much shorter than the lease.
 */
export async function requireLease(queries: Queries, token: LeaseToken): Promise<void> {
  const row = await lockLease(queries, token.name);
  const { number, random } = token.incarnation;
  const ours = row?.counter === token.counter && row.incarnation_number === number && row.incarnation_random === random;
  if (ours && row.live) return;
  throw leaseLost(token.name, ours ? undefined : row?.holder);
}

export interface LeaseState {
  readonly holder: string;
  readonly acquiredAt: Date;
  readonly expiresAt: Date;
}

/** Who holds the lease now; `undefined` when nobody does. */
export async function readLease(queries: Queries, name: string): Promise<LeaseState | undefined> {
  const row = await tablesOf(queries)
    .selectFrom('leases')
    .select(['holder', 'acquired_at', 'expires_at'])
    .where('name', '=', name)
    .where('expires_at', '>', serverNow)
    .executeTakeFirst();
  if (!row?.holder || !row.acquired_at || !row.expires_at) return undefined;
  return { holder: row.holder, acquiredAt: row.acquired_at, expiresAt: row.expires_at };
}

async function lockLease(queries: Queries, name: string) {
  return await tablesOf(queries)
    .selectFrom('leases')
    .select(['incarnation_random', 'holder', 'expires_at'])
    .select([readableNumber('counter').as('counter'), readableNumber('incarnation_number').as('incarnation_number')])
    .select(({ eb }) => eb('expires_at', '>', serverNow).as('live'))
    .where('name', '=', name)
    .forUpdate()
    .executeTakeFirst();
}

function leaseHeld(name: string, holder: string | null, expiresAt: Date | null): EnclaveManagerError {
  const until = expiresAt?.toISOString() ?? 'an unknown time';
  return new EnclaveManagerError('lease-held', `${holder ?? 'somebody'} holds the lease "${name}" until ${until}`);
}

export function leaseLost(name: string, holder: string | null | undefined): EnclaveManagerError {
  const whatNow = holder ? `it is now held by ${holder}` : 'it expired or was given back';
  return new EnclaveManagerError('lease-held', `the lease "${name}" was lost: ${whatNow}`, {
    hint: 'This process was stopped or cut off from the database for too long. Run the command again.',
  });
}
