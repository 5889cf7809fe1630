import type { SessionOptions } from '#postgresql-protocol/connection-options.ts';
import { errorCode } from '#postgresql-protocol/database-errors.ts';
import { databaseIdentity, renameDatabase, type Rename } from '#postgresql-protocol/rename-database.ts';
import { queryLimits, withSession } from '#postgresql-protocol/session.ts';
import type { RenameSteps } from '#postgresql-protocol/two-step-swap.ts';
import { endingSessions, sessionsRemain } from './end-sessions.ts';

const attempts = 6;

/** The steps of a swap that is not one transaction, although this engine could: what another one must do is tested with them. */
export function renameSteps(options: SessionOptions, maintenance: string): RenameSteps {
  return {
    identity: (name) =>
      withSession(options, maintenance, queryLimits, async ({ rows }) => await databaseIdentity(rows, name)),
    rename: (rename) => renameEndingSessions(options, maintenance, rename),
  };
}

async function renameEndingSessions(options: SessionOptions, maintenance: string, rename: Rename): Promise<void> {
  await withSession(options, maintenance, queryLimits, async (session) => {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await endingSessions(options, maintenance, [rename.from], () => renameDatabase(session, rename));
      } catch (error) {
        if (errorCode(error) !== '55006') throw error;
        if (attempt === attempts) throw await sessionsRemain(session, options, [rename.from], error);
      }
    }
  });
}
