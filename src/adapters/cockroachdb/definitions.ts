import type { Definition } from '#ports/database.ts';
import type { Session } from '#postgresql-protocol/session.ts';

/** What this engine has of the things that PostgreSQL's adapter reads, from the views that both engines have. */
const queries: readonly string[] = [
  `SELECT table_name AS "table", concat_ws(' ', 'relation', table_type, table_schema, table_name) AS text
     FROM information_schema.tables WHERE table_schema = 'public'`,
  `SELECT table_name AS "table", concat_ws(' ', 'column', table_name, ordinal_position::text, column_name, udt_name,
          'nullable', is_nullable, 'default', column_default, 'generated', is_generated, generation_expression) AS text
     FROM information_schema.columns WHERE table_schema = 'public'`,
  `SELECT c.relname AS "table", concat_ws(' ', 'constraint', c.relname, con.conname, con.convalidated::text,
          pg_get_constraintdef(con.oid)) AS text
     FROM pg_catalog.pg_constraint con JOIN pg_catalog.pg_class c ON c.oid = con.conrelid
     JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'public'`,
  // The definition of an index names its database.
  `SELECT tablename AS "table", concat_ws(' ', 'index', indexname,
          replace(indexdef, concat(' ON ', current_database(), '.'), ' ON ')) AS text
     FROM pg_catalog.pg_indexes WHERE schemaname = 'public'`,
  `SELECT NULL AS "table", concat_ws(' ', 'routine', routine_name, routine_type, routine_definition) AS text
     FROM information_schema.routines WHERE routine_schema = 'public'`,
  `SELECT event_object_table AS "table", concat_ws(' ', 'trigger', trigger_name, event_manipulation, action_timing,
          action_statement) AS text
     FROM information_schema.triggers WHERE trigger_schema = 'public'`,
  `SELECT NULL AS "table", concat_ws(' ', 'sequence', sequence_name) AS text
     FROM information_schema.sequences WHERE sequence_schema = 'public'`,
];

export async function readDefinitions(rows: Session['rows']): Promise<Definition[]> {
  const found: Definition[] = [];
  for (const query of queries) found.push(...(await rows<{ table: string | null; text: string }>(query)));
  return found.toSorted((a, b) => Buffer.compare(Buffer.from(a.text), Buffer.from(b.text)));
}
