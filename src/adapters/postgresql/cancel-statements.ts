import type { SessionOptions } from '#postgresql-protocol/connection-options.ts';
import type { RunningBackends } from '#postgresql-protocol/running-backends.ts';
import { queryLimits, withSession } from '#postgresql-protocol/session.ts';

/** A short statement is left alone: it may be part of the cleaning up that follows. */
export async function cancelLongStatements(options: SessionOptions, running: RunningBackends): Promise<void> {
  if (running.size === 0) return;
  await withSession(options, options.database, queryLimits, async ({ rows }) => {
    await rows(
      `SELECT pg_cancel_backend(pid) FROM pg_catalog.pg_stat_activity
        WHERE pid = ANY($1) AND state = 'active' AND query_start < clock_timestamp() - INTERVAL '1 second'`,
      [[...running]],
    );
  });
}
