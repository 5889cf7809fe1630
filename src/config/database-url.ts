import { OptionProblem } from './option.ts';

/** A PostgreSQL or CockroachDB server; which of them is asked later. */
export interface DatabaseAddress {
  /** As given, with its password. Never print it: print `location`. */
  readonly url: string;
  readonly databaseName: string;
  /** Without password. */
  readonly location: string;
}

export const defaultDatabaseName = 'malbork';
// PostgreSQL cuts longer names silently; a restore appends up to 40 characters to this one.
const databaseNamePattern = /^[a-z_][a-z0-9_]{0,29}$/;
const example =
  'Write postgres://user@host:5432/malbork, or postgres://user@/malbork?host=/run/postgresql for a Unix socket.';

export function parseDatabaseUrl(text: string): DatabaseAddress {
  if (text === '') throw new OptionProblem('is empty', `${example} Unset it for embedded PostgreSQL.`);
  const url = readUrl(text);
  if (url === undefined) throw new OptionProblem('is not a URL', example);
  if (url.protocol !== 'postgres:' && url.protocol !== 'postgresql:') {
    throw new OptionProblem(`has the unknown scheme ${url.protocol.slice(0, 40)}`, example);
  }
  return { url: text, databaseName: databaseNameOf(url), location: maskDatabaseUrl(text) };
}

function databaseNameOf(url: URL): string {
  const name = url.pathname.replace(/^\//, '');
  if (name === '') return defaultDatabaseName;
  if (databaseNamePattern.test(name)) return name;
  throw new OptionProblem(
    `names the database "${name.slice(0, 80)}"`,
    'A database name here has 1 to 30 lower-case letters, digits and underscores; a restore makes longer ones from it.',
  );
}

const dummyHost = 'socket.invalid';

/** WHATWG URLs allow no user without a host; libpq's do, for Unix sockets. */
function readUrl(text: string): URL | undefined {
  for (const candidate of [text, text.replace('@/', `@${dummyHost}/`)]) {
    if (URL.canParse(candidate)) return new URL(candidate);
  }
  return undefined;
}

/** The URL without password and other secrets; a text that is no URL is masked whole. */
export function maskDatabaseUrl(text: string): string {
  const url = readUrl(text);
  if (url === undefined || !url.protocol.startsWith('postgres')) return '***';
  if (url.password !== '') url.password = '***';
  const secretNames = [...url.searchParams.keys()].filter((name) => /pass|secret|token/i.test(name));
  for (const name of secretNames) url.searchParams.set(name, '***');
  return url.href.replace(dummyHost, '').replaceAll('%2F', '/');
}
