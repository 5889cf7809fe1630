import { setTimeout as sleep } from 'node:timers/promises';
import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { describeOptions, type SessionOptions } from '#postgresql-protocol/connection-options.ts';
import { queryLimits, withSession, type Session } from '#postgresql-protocol/session.ts';

const terminationIntervalMs = 50;

/** Ends the sessions in these databases again and again until `work` is done. */
export async function endingSessions(
  options: SessionOptions,
  maintenance: string,
  databases: readonly string[],
  work: () => Promise<void>,
): Promise<void> {
  await withSession(options, maintenance, queryLimits, async (terminating) => {
    const done = new AbortController();
    const loop = terminateUntil(terminating, databases, done.signal);
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

/** The error of databases that cannot be renamed, with who is in the way. */
export async function sessionsRemain(
  session: Session,
  options: SessionOptions,
  databases: readonly string[],
  cause: unknown,
): Promise<EnclaveManagerError> {
  const sessions = await session.rows<{ text: string }>(
    `SELECT format('%s by %s (pid %s)', COALESCE(NULLIF(application_name, ''), 'session'), usename, pid) AS text
       FROM pg_catalog.pg_stat_activity WHERE datname = ANY($1) ORDER BY pid LIMIT 5`,
    [databases],
  );
  const who =
    sessions.length === 0 ? 'prepared transactions or replication slots' : sessions.map(({ text }) => text).join(', ');
  const which = databases.map((name) => `"${name}"`).join(' and ');
  const message = `${which} cannot be swapped: still in use by ${who}`;
  return new EnclaveManagerError('database-unreachable', `${describeOptions(options)}: ${message}`, {
    hint: 'Stop these programs, or give the role the privilege pg_signal_backend, then run the command again.',
    cause,
  });
}
