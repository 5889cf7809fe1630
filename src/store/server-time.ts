import { sql, type RawBuilder } from 'kysely';
import type { Queries } from './tables.ts';

/**
 * The database server's time at this very statement. Expiry is decided by it alone, because the clocks of hosts
 * differ; `now()` would be the beginning of the transaction, which may have waited for a lock.
 */
export const serverNow: RawBuilder<Date> = sql<Date>`clock_timestamp()`;

/** Milliseconds since the epoch, by the server. */
export async function readServerTime(queries: Queries): Promise<number> {
  const { rows } = await sql<{ now: Date }>`SELECT clock_timestamp() AS now`.execute(queries);
  return rows[0]!.now.getTime();
}

export const serverTimeAfter = (ms: number): RawBuilder<Date> =>
  sql<Date>`clock_timestamp() + ${ms}::INT8 * INTERVAL '1 millisecond'`;
