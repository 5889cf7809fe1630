import { quoteLiteral } from '#postgresql-protocol/identifier-quoting.ts';
import { databaseSessions, sessionName, type Session } from '#postgresql-protocol/session.ts';
import type { SessionOptions } from '#postgresql-protocol/connection-options.ts';

/**
 * Ends our sessions in a database, on every node. Those of other programs go on: nobody has to leave a database before it
 * is renamed or dropped here, names are looked up anew by every transaction.
 */
export async function endSessions(rows: Session['rows'], database: string): Promise<void> {
  const prefix = quoteLiteral(databaseSessions(database)).trimStart();
  await rows(
    `CANCEL SESSIONS IF EXISTS (WITH x AS (SHOW CLUSTER SESSIONS) SELECT session_id FROM x WHERE strpos(application_name, ${prefix}) = 1)`,
  );
}

/** Cancels what sessions of this process in a database have run for longer than a second. */
export async function cancelLongStatements(rows: Session['rows'], options: SessionOptions): Promise<void> {
  const name = quoteLiteral(sessionName(options, options.database)).trimStart();
  await rows(
    `CANCEL QUERIES IF EXISTS (WITH x AS (SHOW CLUSTER STATEMENTS) SELECT query_id FROM x WHERE application_name = ${name} AND start < now() - INTERVAL '1 second')`,
  );
}
