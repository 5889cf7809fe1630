import { sql } from 'kysely';
import { loadMigrations } from './migrations.ts';
import { splitStatements } from './sql-statements.ts';
import type { Queries } from './tables.ts';

/**
 * Gives tables that are never backed up the rows that their migrations declare: what else lies in them was put there by
 * whoever wrote the SQL. Leases stay, because one of them is held by whoever calls this.
 */
export async function resetEphemeralTables(queries: Queries): Promise<void> {
  const migrations = loadMigrations();
  const ephemeral = migrations.flatMap(({ createdTables, ephemeralTables }) =>
    createdTables.filter((table) => ephemeralTables.includes(table) && table !== 'leases'),
  );
  const dropped = new Set(migrations.flatMap(({ droppedTables }) => droppedTables));
  const present = ephemeral.filter((table) => !dropped.has(table));
  // A table refers only to tables that were made before it.
  for (const table of present.toReversed()) await sql`DELETE FROM ${sql.table(table)}`.execute(queries);
  for (const statement of migrations.flatMap(({ sql: text }) => splitStatements(text))) {
    // Not those that moved rows from a table to the one that took its place: these have none any more.
    const table = /^INSERT INTO ([a-z0-9_]+) \([^)]*\) VALUES /.exec(statement)?.[1];
    if (table !== undefined && present.includes(table)) await sql.raw(statement).execute(queries);
  }
}
