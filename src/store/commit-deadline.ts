import { sql } from 'kysely';
import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import type { Queries } from './tables.ts';

/** A committing client that says nothing for this long was stopped or cut off; the server ends its session. */
const longestSilenceMs = 5_000;

/**
 * Makes the transaction commit before `deadline`, by the server's clock, or not at all, however long this process stands
 * still from here on. For a transaction that cannot lock the lease it depends on, because that is in another database of
 * the same server. Call it last in the transaction; throws `lease-held`.
 */
export async function commitBefore(queries: Queries, deadline: Date): Promise<void> {
  await sql.raw(`SET LOCAL idle_in_transaction_session_timeout = ${longestSilenceMs}`).execute(queries);
  const last = new Date(deadline.getTime() - longestSilenceMs);
  const { rows } = await sql<{ late: boolean }>`SELECT clock_timestamp() >= ${last}::timestamptz AS late`.execute(
    queries,
  );
  if (rows[0]?.late === false) return;
  throw new EnclaveManagerError('lease-held', 'the lease ran out before this was written; nothing was changed', {
    hint: 'This process was stopped or cut off from the database for too long. Run the command again.',
  });
}
