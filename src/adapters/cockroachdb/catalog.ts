import { sql } from 'kysely';
import type { Database, RowMarker, TableColumns } from '#ports/database.ts';
import { quoteIdentifier, quoteTable } from '#postgresql-protocol/identifier-quoting.ts';
import type { Session } from '#postgresql-protocol/session.ts';

type Rows = Session['rows'];

export async function tableNames(rows: Rows): Promise<string[]> {
  const found = await rows<{ name: string }>(
    `SELECT table_name AS name FROM information_schema.tables WHERE table_schema = 'public' AND table_type = 'BASE TABLE'`,
  );
  return found.map(({ name }) => name).toSorted(byBytes);
}

/** Without generated columns, and without the hidden key of a table that has none of its own. */
export async function tableColumns(rows: Rows, table: string): Promise<TableColumns> {
  const found = await rows<{ name: string; type: string; keyPosition: number | null }>(
    `SELECT c.column_name AS name, c.udt_name AS type, k.ordinal_position::int8 AS "keyPosition"
       FROM information_schema.columns c
       LEFT JOIN (
         SELECT u.column_name, u.ordinal_position FROM information_schema.table_constraints t
           JOIN information_schema.key_column_usage u
             ON u.constraint_name = t.constraint_name AND u.table_schema = t.table_schema AND u.table_name = t.table_name
          WHERE t.table_schema = 'public' AND t.table_name = $1 AND t.constraint_type = 'PRIMARY KEY') k
         ON k.column_name = c.column_name
      WHERE c.table_schema = 'public' AND c.table_name = $1 AND c.is_generated <> 'ALWAYS'
        AND NOT (c.column_name = 'rowid' AND COALESCE(c.column_default, '') = 'unique_rowid()')
      ORDER BY "keyPosition" NULLS LAST, c.ordinal_position`,
    [table],
  );
  return {
    columns: found.map(({ name, type }) => ({ name, type: neutralType(type) })),
    keyColumns: found.filter(({ keyPosition }) => keyPosition !== null).length,
  };
}

export async function countTableRows(rows: Rows, table: string): Promise<number> {
  const [row] = await rows<{ count: number }>(`SELECT count(*) AS count FROM ${quoteTable(table)}`);
  return row!.count;
}

/** Every row has the time at which the transaction that wrote it was committed. */
export async function countRowsSince(rows: Rows, table: string, marker: RowMarker): Promise<number> {
  const [row] = await rows<{ count: number }>(
    `SELECT count(*) AS count FROM ${quoteTable(table)} t WHERE t.crdb_internal_mvcc_timestamp > COALESCE(
       (SELECT m.crdb_internal_mvcc_timestamp FROM ${quoteTable(marker.table)} m WHERE m.${quoteIdentifier(marker.column)} = $1), 0)`,
    [marker.value],
  );
  return row!.count;
}

/** `_text` is an array of `text`. */
function neutralType(type: string): string {
  const [name, suffix] = type.startsWith('_') ? [type.slice(1), '[]'] : [type, ''];
  return `${name === 'bool' ? 'boolean' : name}${suffix}`;
}

const byBytes = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));

/** Of a database and a table: in one cluster neither is ever given twice. What names the cluster is not for users to ask. */
export async function placeOf(queries: Database['queries'], table: string): Promise<string> {
  const { rows } = await sql<{ place: string }>`SELECT d.oid::text || ' ' || c.oid::text AS place
    FROM pg_catalog.pg_database d, pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE d.datname = current_database() AND n.nspname = 'public' AND c.relname = ${table}`.execute(queries);
  return rows[0]?.place ?? 'none';
}
