import type { Release } from './release.ts';

/** Writes rows that tell whether data came back. Ids are made by the database, so each is another. */
export async function write(release: Release, prefix: string, count: number): Promise<void> {
  await release.sql(`INSERT INTO users (user_id, email, display_name, role, status, created_at)
    SELECT gen_random_uuid(), '${prefix}-' || i || '@example.org', 'it''s "user" ' || i || E'\\nnumber; -- two', 'reader', 'approved', now()
      FROM generate_series(1, ${count}) AS i`);
  await release.sql(`INSERT INTO settings (name, value, updated_at)
    SELECT '${prefix}-' || i, to_jsonb(repeat(md5(i::text), 20)), now() FROM generate_series(1, ${count}) AS i`);
}

const digest = (table: string): string =>
  `SELECT '${table}' AS name, count(*) AS count, md5(coalesce(string_agg(md5(t::text), '' ORDER BY t::text), '')) FROM ${table} AS t`;

/** What lies in the database besides the manager's own notes. */
export async function read(release: Release): Promise<readonly string[]> {
  const tables = ['users', 'settings', 'apps', 'builds', 'certificates', 'api_tokens'];
  return await release.sql(tables.map(digest).join(' UNION ALL '));
}
