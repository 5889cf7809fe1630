import { sql, type RawBuilder } from 'kysely';

/**
 * The database server's time at this very statement. Expiry is decided by it alone, because the clocks of hosts
 * differ; `now()` would be the beginning of the transaction, which may have waited for a lock.
 */
export const serverNow: RawBuilder<Date> = sql<Date>`clock_timestamp()`;

export const serverTimeAfter = (ms: number): RawBuilder<Date> =>
  sql<Date>`clock_timestamp() + ${ms}::INT8 * INTERVAL '1 millisecond'`;
