import type { PostgresqlOptions, SessionOptions } from '#postgresql-protocol/connection-options.ts';

/** Variables that CockroachDB documents; others are refused at the connection. */
const settings: Readonly<Record<string, string>> = {
  timezone: 'UTC',
  datestyle: 'ISO',
  intervalstyle: 'postgres',
  bytea_output: 'hex',
  extra_float_digits: '1',
  search_path: 'public',
  // It refuses statements that are meant, such as dropping a database.
  sql_safe_updates: 'off',
  // A chunk of rows is loaded whole or not at all.
  copy_from_atomic_enabled: 'on',
};

/** Since 25.1 on by default: every schema change in a transaction would first commit what was done before it. */
const commitBeforeSchemaChange = 'autocommit_before_ddl';

/** What to ask the server for: it refuses settings that it does not have. */
export const knownSettingsQuery = `SELECT name FROM pg_catalog.pg_settings WHERE name = '${commitBeforeSchemaChange}'`;

export const cockroachdbSession = (options: PostgresqlOptions, known: readonly string[] = []): SessionOptions => ({
  ...options,
  settings: { ...settings, ...(known.includes(commitBeforeSchemaChange) ? { [commitBeforeSchemaChange]: 'off' } : {}) },
  // The list of sessions does not show their database.
  namesDatabase: true,
});
