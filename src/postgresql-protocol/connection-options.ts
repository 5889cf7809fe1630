import { readFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { z } from 'zod';
import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';

const tlsOptionsSchema = z.strictObject({
  /** libpq's sslmode without `disable`, `allow`: `prefer` falls back to plain text, only `verify-…` check the server's certificate. */
  mode: z.enum(['prefer', 'require', 'verify-ca', 'verify-full']),
  /** PEM texts. */
  authorities: z.string().nullable(),
  certificate: z.string().nullable(),
  key: z.string().nullable(),
});

const postgresqlOptionsSchema = z.strictObject({
  /** Host name, address, or the directory of a Unix socket. */
  host: z.string().min(1),
  port: z.int().min(1).max(65535),
  user: z.string().min(1),
  password: z.string().nullable(),
  /** The database the URL names; the live one. */
  database: z.string().min(1),
  tls: tlsOptionsSchema.nullable(),
});

export type TlsOptions = z.infer<typeof tlsOptionsSchema>;
export type PostgresqlOptions = z.infer<typeof postgresqlOptionsSchema>;

const sessionOptionsSchema = postgresqlOptionsSchema.extend({
  /** What the engine's adapter sets in every session, so that values are rendered in one way. */
  settings: z.record(z.string().regex(/^[a-z_]+$/), z.string().regex(/^[A-Za-z0-9_]+$/)),
  /** Sessions are called `enclave-manager 17`, or after the database as well where the engine does not tell which one they use. */
  namesDatabase: z.boolean(),
});
/** JSON, so that a worker thread can connect with it. */
export type SessionOptions = z.infer<typeof sessionOptionsSchema>;

const defaultDatabase = 'malbork';
const knownParameters = new Set(['host', 'sslmode', 'sslrootcert', 'sslcert', 'sslkey', 'application_name']);

/** Reads `postgres://user:password@host:port/database?sslmode=…`. Throws `configuration`; the password is never in the message. */
export function parseDatabaseUrl(text: string): PostgresqlOptions {
  const url = parseUrl(text);
  for (const name of url.searchParams.keys()) {
    if (!knownParameters.has(name)) throw refused(`has the parameter "${name}", which is not known here`);
  }
  const host = url.searchParams.get('host') ?? decode(url.hostname).replace(/^\[(.*)\]$/, '$1');
  // As libpq does: the operating system's name of this user, which peer authentication wants.
  const user = url.username === '' ? userInfo().username : decode(url.username);
  const database = decode(url.pathname.slice(1)) || defaultDatabase;
  if (host === '') throw refused('names no host');
  if (database.includes('/')) throw refused(`names "${database}", which is more than one database`);
  return {
    host,
    port: url.port === '' ? 5432 : Number(url.port),
    user,
    password: url.password === '' ? null : decode(url.password),
    database,
    tls: host.startsWith('/') ? null : parseTls(url.searchParams),
  };
}

/** What a person may see. */
export function describeOptions(options: PostgresqlOptions): string {
  if (options.host.startsWith('/')) return `postgres://${options.user}@/${options.database}?host=${options.host}`;
  const host = options.host.includes(':') ? `[${options.host}]` : options.host;
  return `postgres://${options.user}@${host}:${options.port}/${options.database}`;
}

export function validateOptions(options: unknown): SessionOptions {
  return sessionOptionsSchema.parse(options);
}

/** Without the text in the message: it may be the password. */
function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch (cause) {
    throw refused('has a % that begins no escaped UTF-8; a literal one is written %25', cause);
  }
}

function parseUrl(text: string): URL {
  // A user without a host is what libpq writes for a Unix socket; the URL standard refuses it.
  const withHost = text.replace(/^(postgres(?:ql)?:\/\/[^/?#]*@)(?=\/)/, '$1localhost');
  let url: URL;
  try {
    url = new URL(withHost);
  } catch {
    throw refused('is not a URL');
  }
  if (url.protocol !== 'postgres:' && url.protocol !== 'postgresql:') {
    throw refused(`begins with "${url.protocol}//", which is not a database this program knows`);
  }
  return url;
}

function parseTls(parameters: URLSearchParams): TlsOptions | null {
  const mode = parameters.get('sslmode') ?? 'prefer';
  if (mode === 'disable') return null;
  const authorities = readPem(parameters.get('sslrootcert'), 'sslrootcert');
  if (mode !== 'prefer' && mode !== 'require' && mode !== 'verify-ca' && mode !== 'verify-full') {
    throw refused(`has sslmode "${mode}"; known are disable, prefer, require, verify-ca and verify-full`);
  }
  return {
    // As in libpq: with authorities to check against, `require` means `verify-ca`.
    mode: mode === 'require' && authorities !== null ? 'verify-ca' : mode,
    authorities,
    certificate: readPem(parameters.get('sslcert'), 'sslcert'),
    key: readPem(parameters.get('sslkey'), 'sslkey'),
  };
}

function readPem(path: string | null, parameter: string): string | null {
  if (path === null || path === 'system') return null;
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw refused(`names the file ${path} as ${parameter}, which cannot be read`, cause);
  }
}

function refused(why: string, cause?: unknown): EnclaveManagerError {
  return new EnclaveManagerError('configuration', `the database URL ${why}`, {
    hint: 'ENCLAVE_MANAGER_DATABASE_URL looks like postgres://user:password@host:5432/malbork?sslmode=verify-full.',
    cause,
  });
}
