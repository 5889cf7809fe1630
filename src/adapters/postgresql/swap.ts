import { setTimeout as sleep } from 'node:timers/promises';
import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import type { SwapNames } from '#ports/database.ts';
import type { SessionOptions } from '#postgresql-protocol/connection-options.ts';
import { describeOptions } from '#postgresql-protocol/connection-options.ts';
import { errorCode, isLostConnection, unreachable } from '#postgresql-protocol/database-errors.ts';
import {
  databaseIdentity,
  longestPauseMs,
  nameChanged,
  renameStatement,
  requireInTime,
} from '#postgresql-protocol/rename-database.ts';
import { queryLimits, withSession, type Session } from '#postgresql-protocol/session.ts';
import { endingSessions, sessionsRemain } from './end-sessions.ts';

const attempts = 6;

/**
 * Both renames in one transaction, from the maintenance database.
 *
 * ALTER DATABASE … RENAME first takes the lock of the database that a connecting session needs too, and only then
 * waits up to five seconds for the sessions inside to end. While it waits we end them from a second connection:
 * nobody new comes in, so this converges even while servers keep reconnecting, and nothing but the transaction
 * itself was changed when it fails.
 */
export async function swapDatabases(options: SessionOptions, maintenance: string, names: SwapNames): Promise<void> {
  await withSession(options, maintenance, queryLimits, async (renaming) => {
    const [backend] = await renaming.rows<{ pid: number }>('SELECT pg_backend_pid() AS pid');
    for (let attempt = 1; ; attempt += 1) {
      const staging = await databaseIdentity(renaming.rows, names.staging);
      if (staging === undefined) {
        throw new EnclaveManagerError('not-found', `there is no database "${names.staging}" to be swapped in`);
      }
      try {
        return await endingSessions(options, maintenance, [names.live, names.staging], () =>
          renameBoth(renaming, names),
        );
      } catch (error) {
        if (isLostConnection(error)) {
          return await settle(options, maintenance, names, { staging, pid: backend!.pid, cause: error });
        }
        await renaming.rows('ROLLBACK');
        if (errorCode(error) !== '55006') throw error;
        if (attempt === attempts) throw await sessionsRemain(renaming, options, [names.live, names.staging], error);
      }
    }
  });
}

async function renameBoth(session: Session, names: SwapNames): Promise<void> {
  await session.rows('BEGIN');
  await session.rows(`SELECT set_config('idle_in_transaction_session_timeout', '${longestPauseMs}', true)`);
  const current = await databaseIdentity(session.rows, names.live);
  if (current !== names.expectedLive) throw nameChanged(names.live);
  if (current !== undefined) {
    await session.rows(renameStatement(names.live, names.before));
    // Only now, under the lock that the rename took, is this certain.
    if ((await databaseIdentity(session.rows, names.before)) !== names.expectedLive) throw nameChanged(names.live);
  }
  try {
    await session.rows(renameStatement(names.staging, names.live));
  } catch (error) {
    if (errorCode(error) === '42P04') throw nameChanged(names.live);
    throw error;
  }
  await requireInTime(session.rows, names.live, names.notAfter);
  await session.rows('COMMIT');
}

/**
 * The connection went while the renames ran: whether they were committed is asked again, for a while. The name alone
 * says so only once the process that ran them is gone, because a COMMIT whose reply was lost may still be under way.
 */
async function settle(
  options: SessionOptions,
  maintenance: string,
  names: SwapNames,
  { staging, pid, cause }: { readonly staging: string; readonly pid: number; readonly cause: unknown },
): Promise<void> {
  for (let attempt = 1; attempt <= attempts; attempt += 1) {
    await sleep(250 * attempt);
    const seen = await withSession(options, maintenance, queryLimits, async (session) => ({
      running: await isRunning(session, pid),
      live: await databaseIdentity(session.rows, names.live),
    })).catch(() => undefined);
    if (seen?.live === staging) return;
    if (seen?.running === false) throw cause;
  }
  throw unreachable(
    describeOptions(options),
    `the connection was lost while "${names.staging}" was renamed to "${names.live}"; ` +
      'the server either did both renames or none, but cannot be asked which',
    cause,
  );
}

async function isRunning(session: Session, pid: number): Promise<boolean> {
  return (await session.rows('SELECT FROM pg_catalog.pg_stat_activity WHERE pid = $1', [pid])).length > 0;
}
