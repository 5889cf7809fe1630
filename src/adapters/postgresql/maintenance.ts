import { EnclaveManagerError, isEnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { describeOptions, type PostgresqlOptions } from '#postgresql-protocol/connection-options.ts';
import { errorCode } from '#postgresql-protocol/database-errors.ts';
import { queryLimits, withSession, type Session } from '#postgresql-protocol/session.ts';

const majors = { oldest: 15, newest: 18 };

export interface Maintenance {
  /** As given, with TLS decided. */
  readonly options: PostgresqlOptions;
  /** The database from which others are created and renamed. */
  readonly database: string;
  readonly version: string;
}

/** Finds a database that is not the live one where the role allows it, and checks the version. */
export async function findMaintenance(given: PostgresqlOptions): Promise<Maintenance> {
  let refusal: unknown;
  for (const database of new Set(['postgres', 'template1', given.database])) {
    try {
      return await tryDatabase(given, database);
    } catch (error) {
      // No such database, no privilege to connect, or not in pg_hba.conf: another one may do.
      if (!['3D000', '42501', '28000'].includes(errorCode(error) ?? '')) throw error;
      refusal ??= error;
    }
  }
  throw refusal;
}

async function tryDatabase(given: PostgresqlOptions, database: string): Promise<Maintenance> {
  const read = async (options: PostgresqlOptions): Promise<Maintenance> => ({
    options,
    database,
    version: await withSession(options, database, queryLimits, (session) => readVersion(session, options)),
  });
  if (given.tls?.mode !== 'prefer') return read(given);
  try {
    return await read(given);
  } catch (error) {
    if (!isEnclaveManagerError(error) || !/does not support SSL/.test(error.message)) throw error;
    return read({ ...given, tls: null });
  }
}

async function readVersion(session: Session, options: PostgresqlOptions): Promise<string> {
  const [row] = await session.rows<ServerVersion>(
    `SELECT version() AS banner, current_setting('server_version') AS version, current_setting('server_version_num') AS number`,
  );
  return checkVersion(row!, describeOptions(options));
}

interface ServerVersion {
  /** What `version()` says. */
  readonly banner: string;
  readonly version: string;
  /** `server_version_num`, such as `180004`. */
  readonly number: string;
}

/** The version without what a distribution adds to it; throws `version-incompatible` for what this release does not know. */
export function checkVersion({ banner, version, number }: ServerVersion, location: string): string {
  const major = Math.floor(Number(number) / 10_000);
  if (banner.startsWith('PostgreSQL ') && major >= majors.oldest && major <= majors.newest)
    return version.split(' ')[0]!;
  throw new EnclaveManagerError(
    'version-incompatible',
    `${location} runs ${banner.split(' on ')[0]}; this release works with PostgreSQL ${majors.oldest} to ${majors.newest}`,
    { hint: 'Use a server of one of these versions, or a newer release of Enclave Manager.' },
  );
}
