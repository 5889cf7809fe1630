import { setTimeout as sleep } from 'node:timers/promises';
import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import type { SwapNames } from '#ports/database.ts';
import type { PostgresqlOptions } from '#postgresql-protocol/connection-options.ts';
import { describeOptions } from '#postgresql-protocol/connection-options.ts';
import { errorCode, isLostConnection, unreachable } from '#postgresql-protocol/database-errors.ts';
import { quoteIdentifier } from '#postgresql-protocol/identifier-quoting.ts';
import { queryLimits, withSession, type Session } from '#postgresql-protocol/session.ts';

const attempts = 6;
const terminationIntervalMs = 50;
/** While the renames are not committed nobody can connect: where this process stands still, the server gives up for it. */
const longestPauseMs = 10_000;

/**
 * Both renames in one transaction, from the maintenance database.
 *
 * ALTER DATABASE … RENAME first takes the lock of the database that a connecting session needs too, and only then
 * waits up to five seconds for the sessions inside to end. While it waits we end them from a second connection:
 * nobody new comes in, so this converges even while servers keep reconnecting, and nothing but the transaction
 * itself was changed when it fails.
 */
export async function swapDatabases(options: PostgresqlOptions, maintenance: string, names: SwapNames): Promise<void> {
  await withSession(options, maintenance, queryLimits, async (renaming) => {
    const [backend] = await renaming.rows<{ pid: number }>('SELECT pg_backend_pid() AS pid');
    for (let attempt = 1; ; attempt += 1) {
      const staging = await databaseOid(renaming, names.staging);
      if (staging === undefined) {
        throw new EnclaveManagerError('not-found', `there is no database "${names.staging}" to be swapped in`);
      }
      try {
        return await endingSessions(options, maintenance, names, () => renameBoth(renaming, names));
      } catch (error) {
        if (isLostConnection(error)) {
          return await settle(options, maintenance, names, { staging, pid: backend!.pid, cause: error });
        }
        await renaming.rows('ROLLBACK');
        if (errorCode(error) !== '55006') throw error;
        if (attempt === attempts) throw await sessionsRemain(renaming, options, names, error);
      }
    }
  });
}

async function renameBoth(session: Session, names: SwapNames): Promise<void> {
  await session.rows('BEGIN');
  await session.rows(`SELECT set_config('idle_in_transaction_session_timeout', '${longestPauseMs}', true)`);
  const current = await databaseOid(session, names.live);
  if (current !== names.expectedLive) throw changed(names);
  if (current !== undefined) {
    await session.rows(renameStatement(names.live, names.before));
    // Only now, under the lock that the rename took, is this certain.
    if ((await databaseOid(session, names.before)) !== names.expectedLive) throw changed(names);
  }
  try {
    await session.rows(renameStatement(names.staging, names.live));
  } catch (error) {
    if (errorCode(error) === '42P04') throw changed(names);
    throw error;
  }
  await requireInTime(session, names);
  await session.rows('COMMIT');
}

/** Under the locks of the renames no server can come back to life between this and the COMMIT. */
async function requireInTime(session: Session, { live, notAfter }: SwapNames): Promise<void> {
  if (notAfter === undefined) return;
  const [row] = await session.rows<{ late: boolean }>('SELECT clock_timestamp() >= $1::timestamptz AS late', [
    notAfter,
  ]);
  if (row?.late === false) return;
  throw new EnclaveManagerError(
    'lease-held',
    `the lease and the pause of the servers of "${live}" ran out before the swap; nothing was replaced`,
    { hint: 'This process was stopped or cut off from the database for too long. Run the command again.' },
  );
}

/** Ends the sessions of both databases again and again until `work` is done. */
async function endingSessions(
  options: PostgresqlOptions,
  maintenance: string,
  names: SwapNames,
  work: () => Promise<void>,
): Promise<void> {
  await withSession(options, maintenance, queryLimits, async (terminating) => {
    const done = new AbortController();
    const loop = terminateUntil(terminating, [names.live, names.staging], done.signal);
    try {
      await work();
    } finally {
      done.abort();
      await loop;
    }
  });
}

async function terminateUntil(session: Session, databases: readonly string[], signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    // A session we may not end is named when the renames give up.
    await terminateSessions(session.rows, databases).catch(() => undefined);
    await sleep(terminationIntervalMs, undefined, { signal }).catch(() => undefined);
  }
}

/** Ends every session in `databases` that this role may end. */
export async function terminateSessions(rows: Session['rows'], databases: readonly string[]): Promise<void> {
  await rows(
    `SELECT pg_terminate_backend(a.pid) FROM pg_catalog.pg_stat_activity a JOIN pg_catalog.pg_roles r ON r.oid = a.usesysid
      WHERE a.datname = ANY($1) AND a.pid <> pg_backend_pid()
        AND (pg_has_role(a.usesysid, 'USAGE') OR (NOT r.rolsuper AND pg_has_role('pg_signal_backend', 'USAGE')))`,
    [databases],
  );
}

/**
 * The connection went while the renames ran: whether they were committed is asked again, for a while. The name alone
 * says so only once the process that ran them is gone, because a COMMIT whose reply was lost may still be under way.
 */
async function settle(
  options: PostgresqlOptions,
  maintenance: string,
  names: SwapNames,
  { staging, pid, cause }: { readonly staging: string; readonly pid: number; readonly cause: unknown },
): Promise<void> {
  for (let attempt = 1; attempt <= attempts; attempt += 1) {
    await sleep(250 * attempt);
    const seen = await withSession(options, maintenance, queryLimits, async (session) => ({
      running: await isRunning(session, pid),
      live: await databaseOid(session, names.live),
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

async function sessionsRemain(
  session: Session,
  options: PostgresqlOptions,
  names: SwapNames,
  cause: unknown,
): Promise<EnclaveManagerError> {
  const sessions = await session.rows<{ text: string }>(
    `SELECT format('%s by %s (pid %s)', COALESCE(NULLIF(application_name, ''), 'session'), usename, pid) AS text
       FROM pg_catalog.pg_stat_activity WHERE datname = ANY($1) ORDER BY pid LIMIT 5`,
    [[names.live, names.staging]],
  );
  const who =
    sessions.length === 0 ? 'prepared transactions or replication slots' : sessions.map(({ text }) => text).join(', ');
  const message = `"${names.live}" and "${names.staging}" cannot be swapped: still in use by ${who}`;
  return new EnclaveManagerError('database-unreachable', `${describeOptions(options)}: ${message}`, {
    hint: 'Stop these programs, or give the role the privilege pg_signal_backend, then run the command again.',
    cause,
  });
}

export async function databaseOid(session: Pick<Session, 'rows'>, name: string): Promise<string | undefined> {
  const [row] = await session.rows<{ oid: string }>(
    'SELECT oid::text AS oid FROM pg_catalog.pg_database WHERE datname = $1',
    [name],
  );
  return row?.oid;
}

function changed(names: SwapNames): EnclaveManagerError {
  return new EnclaveManagerError(
    'lease-held',
    `the database "${names.live}" is no longer the one that was there when this began; nothing was changed`,
  );
}

function renameStatement(from: string, to: string): string {
  return `ALTER DATABASE ${quoteIdentifier(from)} RENAME TO ${quoteIdentifier(to)}`;
}
