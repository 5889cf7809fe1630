import type { Definition } from '#ports/database.ts';
import type { QueryPool } from '#postgresql-protocol/query-pool.ts';

/** Nothing that PostgreSQL itself brings, or that an extension of the template does. */
const ownSchema = `NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'`;

/**
 * Tables with their columns, constraints and indexes, and whatever acts when somebody reads or writes them. Internal
 * triggers have numbers for names; of them it counts only that they were switched off.
 */
const definitionsQuery = `
  SELECT c.relname AS "table", concat_ws(' ', 'relation', c.relkind, c.relpersistence, n.nspname, c.relname,
           CASE WHEN c.relrowsecurity THEN 'with row security' END, c.reloptions::text) AS text
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
   WHERE n.nspname ${ownSchema} AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
  UNION ALL
  SELECT c.relname, concat_ws(' ', 'column', c.relname, a.attnum, a.attname, format_type(a.atttypid, a.atttypmod),
           CASE WHEN a.attnotnull THEN 'not null' END, a.attidentity, a.attgenerated, a.attcollation::regcollation::text,
           pg_get_expr(d.adbin, d.adrelid))
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
   WHERE n.nspname ${ownSchema} AND c.relkind IN ('r', 'p')
  UNION ALL
  SELECT c.relname, concat_ws(' ', 'constraint', c.relname, con.conname, con.convalidated, pg_get_constraintdef(con.oid))
    FROM pg_catalog.pg_constraint con JOIN pg_catalog.pg_class c ON c.oid = con.conrelid
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
   WHERE n.nspname ${ownSchema} AND con.contype <> 't'
  UNION ALL
  SELECT c.relname, concat_ws(' ', 'index', i.indisvalid, pg_get_indexdef(i.indexrelid))
    FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indrelid
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
   WHERE n.nspname ${ownSchema} AND c.relkind <> 't'
  UNION ALL
  SELECT c.relname, concat_ws(' ', 'trigger', CASE WHEN t.tgisinternal THEN c.relname ELSE pg_get_triggerdef(t.oid) END, t.tgenabled)
    FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_class c ON c.oid = t.tgrelid
   WHERE NOT t.tgisinternal OR t.tgenabled <> 'O'
  UNION ALL
  SELECT c.relname, concat_ws(' ', 'rule', r.ev_enabled, pg_get_ruledef(r.oid))
    FROM pg_catalog.pg_rewrite r JOIN pg_catalog.pg_class c ON c.oid = r.ev_class
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname ${ownSchema}
  UNION ALL
  SELECT c.relname, concat_ws(' ', 'policy', p.polname, p.polcmd, pg_get_expr(p.polqual, p.polrelid))
    FROM pg_catalog.pg_policy p JOIN pg_catalog.pg_class c ON c.oid = p.polrelid
  UNION ALL
  SELECT NULL, concat_ws(' ', 'function', p.oid::regprocedure, md5(p.prosrc))
    FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname ${ownSchema}
  UNION ALL
  SELECT NULL, concat_ws(' ', 'event trigger', evtname, evtevent, evtenabled, evtfoid::regprocedure) FROM pg_catalog.pg_event_trigger
  UNION ALL
  SELECT NULL, concat_ws(' ', 'cast', castsource::regtype, casttarget::regtype) FROM pg_catalog.pg_cast WHERE oid >= 16384
  UNION ALL
  SELECT NULL, concat_ws(' ', 'operator', o.oid::regoperator) FROM pg_catalog.pg_operator o
    JOIN pg_catalog.pg_namespace n ON n.oid = o.oprnamespace WHERE n.nspname ${ownSchema}
  UNION ALL
  SELECT NULL, concat_ws(' ', 'type', t.oid::regtype) FROM pg_catalog.pg_type t
    JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
   WHERE n.nspname ${ownSchema} AND t.typtype IN ('d', 'e', 'r')
  ORDER BY 2`;

export async function readDefinitions(rows: QueryPool['rows']): Promise<Definition[]> {
  return await rows<{ table: string | null; text: string }>(definitionsQuery);
}
