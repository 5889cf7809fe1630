import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';

const networkCodes = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ECONNABORTED',
  'EPIPE',
  'ENOENT',
  'EACCES',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'EHOSTDOWN',
  'ENETUNREACH',
  'ENETDOWN',
  'ENOTFOUND',
  'EAI_AGAIN',
  'ERR_STREAM_DESTROYED',
  'ERR_STREAM_WRITE_AFTER_END',
]);

/** What `pg` says in plain words where it has no code. */
const lostConnection =
  /^(Connection terminated|timeout expired|timeout exceeded when trying|Query read timeout|Client has encountered|Client was closed|The server does not support SSL|There was an error establishing an SSL|Cannot use a pool after|SASL:|password must be|Received unexpected)/;

/** SQLSTATE classes and codes (PostgreSQL documentation, appendix A) by which a server refuses us or goes away. */
const refusals = new Map([
  ['08', 'the connection failed'],
  ['28', 'the server refused user or password'],
  ['3D000', 'there is no such database'],
  ['42501', 'the role may not do this'],
  ['53200', 'the server is out of memory'],
  ['53300', 'the server takes no more connections'],
  ['53400', 'a limit of the server was reached'],
  ['55P03', 'another session holds a lock too long'],
  ['57014', 'the server cancelled the statement, or it ran into its time limit'],
  ['57P', 'the server ended the connection'],
  ['25P03', 'the server ended a session that was idle inside a transaction'],
  ['25P04', 'the server ended a transaction that ran too long'],
  ['XX', 'the server reports an internal error or damage'],
]);

/**
 * Gives a failure of the database its typed error: `database-unreachable`, `no-space`. Others pass unchanged, so that
 * callers still see SQLSTATE 40001 or 23505. `location` names the server for people.
 */
export function toDatabaseError(error: unknown, location: string): unknown {
  if (!(error instanceof Error) || error instanceof EnclaveManagerError) return error;
  const code = errorCode(error);
  if (code === '53100' || code === 'ENOSPC') {
    return new EnclaveManagerError('no-space', `${location}: the database server has no space left: ${error.message}`, {
      cause: error,
    });
  }
  if (error.message.includes('client password must be a string')) {
    return unreachable(
      location,
      'the server wants a password, and none is set (ENCLAVE_MANAGER_DATABASE_PASSWORD_FILE)',
    );
  }
  const reason = refusalOf(code);
  if (reason !== undefined) return unreachable(location, `${reason}: ${error.message}`, error);
  if (isLostConnection(error)) return unreachable(location, messageOf(error), error);
  return error;
}

/** After such an error the connection cannot be used any more. */
export function isLostConnection(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if (error instanceof EnclaveManagerError) return isLostConnection(error.cause);
  const code = errorCode(error);
  if (code !== undefined && (networkCodes.has(code) || /^(08|57P0[1-5]|25P0[34])/.test(code))) return true;
  if (code !== undefined && /^(ERR_TLS|ERR_SSL|CERT_|DEPTH_|SELF_SIGNED|UNABLE_TO)/.test(code)) return true;
  if (error instanceof AggregateError) return error.errors.some(isLostConnection);
  return lostConnection.test(error.message);
}

/** SQLSTATE, Node's errno name, or `undefined`. */
export function errorCode(error: unknown): string | undefined {
  if (error instanceof EnclaveManagerError) return errorCode(error.cause);
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

export function unreachable(location: string, message: string, cause?: unknown): EnclaveManagerError {
  return new EnclaveManagerError('database-unreachable', `${location}: ${message}`, { cause });
}

function refusalOf(code: string | undefined): string | undefined {
  if (code === undefined || !/^[0-9A-Z]{5}$/.test(code)) return undefined;
  return refusals.get(code) ?? refusals.get(code.slice(0, 3)) ?? refusals.get(code.slice(0, 2));
}

/** Node joins the failures of several addresses in one error without a message. */
function messageOf(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(messageOf).join('; ');
  return error instanceof Error ? error.message : String(error);
}
