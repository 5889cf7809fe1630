import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { errorCode } from './database-errors.ts';
import { quoteIdentifier } from './identifier-quoting.ts';
import type { Session } from './session.ts';

/** While a rename is not committed nobody can connect: where this process stands still, the server gives up for it. */
export const longestPauseMs = 10_000;

export interface Rename {
  readonly from: string;
  readonly to: string;
  /** Of the database that is meant: one that came to have the name since is left alone. */
  readonly identity: string;
  /** By the server's clock; later than that nothing is renamed. */
  readonly notAfter?: Date | undefined;
}

/**
 * Renames one database in a transaction of its own, from a session outside it. Throws `lease-held` where the name means
 * another database by now, or the time is over; in every case without a lost connection nothing was changed then.
 */
export async function renameDatabase(session: Pick<Session, 'rows'>, rename: Rename): Promise<void> {
  const { rows } = session;
  await rows(`SELECT set_config('idle_in_transaction_session_timeout', '${longestPauseMs}', false)`);
  await rows('BEGIN');
  try {
    if ((await databaseIdentity(rows, rename.from)) !== rename.identity) throw nameChanged(rename.from);
    await rows(renameStatement(rename.from, rename.to));
    // Where renames lock and reads do not wait for locks, only now is this certain.
    if ((await databaseIdentity(rows, rename.to)) !== rename.identity) throw nameChanged(rename.from);
    await requireInTime(rows, rename.from, rename.notAfter);
    await rows('COMMIT');
  } catch (error) {
    await rows('ROLLBACK').catch(() => undefined);
    throw errorCode(error) === '3D000' ? nameChanged(rename.from, error) : error;
  }
}

export const renameStatement = (from: string, to: string): string =>
  `ALTER DATABASE ${quoteIdentifier(from)} RENAME TO ${quoteIdentifier(to)}`;

/** Changes whenever the name comes to mean another database; `undefined` where there is none. */
export async function databaseIdentity(rows: Session['rows'], name: string): Promise<string | undefined> {
  const [row] = await rows<{ oid: string }>('SELECT oid::text AS oid FROM pg_catalog.pg_database WHERE datname = $1', [
    name,
  ]);
  return row?.oid;
}

/** Asked inside the transaction that renames, after which no server can come back to life in the live database. */
export async function requireInTime(rows: Session['rows'], live: string, notAfter: Date | undefined): Promise<void> {
  if (notAfter === undefined) return;
  const [row] = await rows<{ late: boolean }>('SELECT clock_timestamp() >= $1::timestamptz AS late', [notAfter]);
  if (row?.late === false) return;
  throw new EnclaveManagerError(
    'lease-held',
    `the lease and the pause of the servers of "${live}" ran out before the swap; nothing was replaced`,
    { hint: 'This process was stopped or cut off from the database for too long. Run the command again.' },
  );
}

export function nameChanged(name: string, cause?: unknown): EnclaveManagerError {
  return new EnclaveManagerError(
    'lease-held',
    `the database "${name}" is no longer the one that was there when this began; nothing was changed`,
    { cause },
  );
}
