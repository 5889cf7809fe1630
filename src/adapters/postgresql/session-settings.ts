import type { PostgresqlOptions, SessionOptions } from '#postgresql-protocol/connection-options.ts';

/**
 * One rendering of every value, whatever the server, the role or the database has set: these settings decide the bytes
 * of COPY text, and so the ids of chunks.
 */
const settings: Readonly<Record<string, string>> = {
  timezone: 'UTC',
  datestyle: 'ISO',
  intervalstyle: 'postgres',
  bytea_output: 'hex',
  extra_float_digits: '1',
  synchronize_seqscans: 'off',
  standard_conforming_strings: 'on',
  search_path: 'public',
  // A policy that would hide rows from us is an error, never a shorter backup.
  row_security: 'off',
  xmloption: 'content',
};

export const postgresqlSession = (options: PostgresqlOptions): SessionOptions => ({
  ...options,
  settings: { ...settings },
  namesDatabase: false,
});
