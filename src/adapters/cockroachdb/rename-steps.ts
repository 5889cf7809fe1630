import type { SessionOptions } from '#postgresql-protocol/connection-options.ts';
import { databaseIdentity, longestPauseMs, renameDatabase } from '#postgresql-protocol/rename-database.ts';
import { queryLimits, withSession } from '#postgresql-protocol/session.ts';
import type { RenameSteps } from '#postgresql-protocol/two-step-swap.ts';
import { endSessions } from './end-sessions.ts';

/** Each rename is a schema change in a transaction of its own. */
export function renameSteps(options: SessionOptions, maintenance: string): RenameSteps {
  return {
    identity: (name) =>
      withSession(options, maintenance, queryLimits, async ({ rows }) => await databaseIdentity(rows, name)),
    rename: (rename) =>
      withSession(options, maintenance, queryLimits, async (session) => {
        await endSessions(session.rows, rename.from);
        // Nothing is locked here while the transaction is open, so what may happen until it ends is in time as well.
        const notAfter = rename.notAfter && new Date(rename.notAfter.getTime() - longestPauseMs);
        await renameDatabase(session, { ...rename, notAfter });
      }),
  };
}
