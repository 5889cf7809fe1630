import { isEnclaveManagerError } from '#errors/enclave-manager-error.ts';
import type { PostgresqlOptions } from './connection-options.ts';
import { errorCode } from './database-errors.ts';
import { openPlainSession } from './session.ts';

/** A server that answered, of whichever engine. */
export interface FoundServer {
  /** As given, with TLS decided. */
  readonly options: PostgresqlOptions;
  /** A database that is not the live one where the role may connect to another: from it others are created and renamed. */
  readonly maintenance: string;
  /** What `version()` says; it names the engine. */
  readonly banner: string;
  /** `server_version` and `server_version_num`, which other engines fake. */
  readonly version: string;
  readonly versionNumber: string;
}

/** Asks the server who it is, without any setting that only one engine knows. Throws `database-unreachable`. */
export async function findServer(given: PostgresqlOptions): Promise<FoundServer> {
  let refusal: unknown;
  for (const database of new Set(['postgres', 'template1', 'defaultdb', given.database])) {
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

async function tryDatabase(given: PostgresqlOptions, database: string): Promise<FoundServer> {
  if (given.tls?.mode !== 'prefer') return await ask(given, database);
  try {
    return await ask(given, database);
  } catch (error) {
    if (!isEnclaveManagerError(error) || !/does not support SSL/.test(error.message)) throw error;
    return await ask({ ...given, tls: null }, database);
  }
}

async function ask(options: PostgresqlOptions, maintenance: string): Promise<FoundServer> {
  const session = await openPlainSession(options, maintenance);
  try {
    const [row] = await session.rows<Pick<FoundServer, 'banner' | 'version' | 'versionNumber'>>(
      `SELECT version() AS banner, current_setting('server_version') AS version, current_setting('server_version_num') AS "versionNumber"`,
    );
    return { options, maintenance, ...row! };
  } finally {
    await session.close();
  }
}
