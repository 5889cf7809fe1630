import { sql } from 'kysely';
import type { Database, RowMarker, TableColumns } from '#ports/database.ts';
import { quoteIdentifier, quoteTable } from '#postgresql-protocol/identifier-quoting.ts';
import type { QueryPool } from '#postgresql-protocol/query-pool.ts';

type Rows = QueryPool['rows'];

export async function tableNames(rows: Rows): Promise<string[]> {
  const found = await rows<{ name: string }>(
    `SELECT c.relname AS name FROM pg_catalog.pg_class c
      WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') ORDER BY c.relname COLLATE "C"`,
  );
  return found.map(({ name }) => name);
}

/** Generated columns are left out: they cannot be loaded and follow from the others. */
export async function tableColumns(rows: Rows, table: string): Promise<TableColumns> {
  const found = await rows<{ name: string; type: string; keyPosition: number | null }>(
    `SELECT a.attname AS name,
            CASE WHEN e.oid IS NULL THEN t.typname ELSE e.typname || '[]' END AS type,
            array_position(i.indkey::int2[], a.attnum) AS "keyPosition"
       FROM pg_catalog.pg_class c
       JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
       JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
       LEFT JOIN pg_catalog.pg_type e ON e.oid = t.typelem AND e.typarray = t.oid
       LEFT JOIN pg_catalog.pg_index i ON i.indrelid = c.oid AND i.indisprimary
      WHERE c.relnamespace = 'public'::regnamespace AND c.relname = $1 AND c.relkind IN ('r', 'p')
      ORDER BY "keyPosition" NULLS LAST, a.attnum`,
    [table],
  );
  return {
    columns: found.map(({ name, type }) => ({ name, type: neutralType(type) })),
    keyColumns: found.filter(({ keyPosition }) => keyPosition !== null).length,
  };
}

export async function countTableRows(rows: Rows, quotedTable: string): Promise<number> {
  const [row] = await rows<{ count: number }>(`SELECT count(*) AS count FROM ${quotedTable}`);
  return row!.count;
}

/** Transactions are numbered as they first write, and every row knows the one that wrote it, also when it was frozen since. */
export async function countRowsSince(rows: Rows, table: string, marker: RowMarker): Promise<number> {
  const [row] = await rows<{ count: number }>(
    `SELECT count(*) AS count FROM ${quoteTable(table)} WHERE age(xmin) < COALESCE(
       (SELECT age(m.xmin) FROM ${quoteTable(marker.table)} m WHERE m.${quoteIdentifier(marker.column)} = $1), 2147483647)`,
    [marker.value],
  );
  return row!.count;
}

function neutralType(type: string): string {
  return type.replace(/^bool\b/, 'boolean');
}

/** Of a server that was initialised, a database and a table: none of them is ever given twice. */
export async function placeOf(queries: Database['queries'], table: string): Promise<string> {
  const { rows } = await sql<{ place: string }>`
    SELECT s.system_identifier::text || ' ' || d.oid::text || ' ' || c.oid::text AS place
      FROM pg_catalog.pg_control_system() s, pg_catalog.pg_database d, pg_catalog.pg_class c
     WHERE d.datname = current_database() AND c.relnamespace = 'public'::regnamespace AND c.relname = ${table}`.execute(
    queries,
  );
  return rows[0]?.place ?? 'none';
}
