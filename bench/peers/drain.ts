import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { backedUpTables, loadMigrations } from '#store/migrations.ts';
import { type Job, shell } from '../measure.ts';
import { quoted, type Peer } from './peer.ts';

/**
 * What no client can be faster than: two connections copy half of every table each, and what they get is thrown away.
 * Resolves with the job; which pages are whose is decided beforehand.
 */
export async function drain({ programs, server, directory }: Peer, database: string): Promise<Job> {
  const tables = backedUpTables(Math.max(...loadMigrations().map(({ version }) => version)));
  const halves: [string[], string[]] = [[], []];
  for (const table of tables) {
    const [size] = await server.query(database, `SELECT pg_relation_size('"${table}"')::int8 / 8192 AS pages`);
    const middle = `'(${Math.ceil(Number(size!['pages']) / 2)},0)'::tid`;
    halves[0].push(`COPY (SELECT * FROM "${table}" WHERE ctid < ${middle}) TO STDOUT;`);
    halves[1].push(`COPY (SELECT * FROM "${table}" WHERE ctid >= ${middle}) TO STDOUT;`);
  }
  const files = halves.map((statements, index) => {
    const file = join(directory, `drain-${index}.sql`);
    writeFileSync(file, statements.join('\n'));
    return file;
  });
  const psql = `${quoted(programs['psql']!)} -X -q -v ON_ERROR_STOP=1 -o /dev/null -d ${quoted(database)} -f`;
  const [first, second] = files.map((file) => `${psql} ${quoted(file)}`);
  return shell(`${first} & other=$!\n${second}\nwait "$other"`, { ...server.env, PATH: process.env['PATH'] ?? '' });
}
