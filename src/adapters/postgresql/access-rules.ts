import type { QueryPool } from '#postgresql-protocol/query-pool.ts';

/**
 * Superusers, the owner of the database and this role may do all of it anyway. Everybody may connect to a database and make temporary
 * tables in it unless that was taken away, and use the schema "public".
 */
const rulesQuery = `
  WITH here AS (SELECT oid, datdba, datacl FROM pg_catalog.pg_database WHERE datname = current_database()),
  granted AS (
    SELECT 'the database' AS object, a.grantee, a.privilege_type FROM here, aclexplode(here.datacl) a
     WHERE NOT (a.grantee = 0 AND a.privilege_type IN ('CONNECT', 'TEMPORARY'))
    UNION ALL
    SELECT format('schema "%s"', n.nspname), a.grantee, a.privilege_type
      FROM pg_catalog.pg_namespace n, aclexplode(n.nspacl) a
     WHERE n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'
       AND NOT (n.nspname = 'public' AND a.grantee = 0 AND a.privilege_type = 'USAGE')
    UNION ALL
    SELECT format('table "%s"', c.relname), a.grantee, a.privilege_type
      FROM pg_catalog.pg_class c, aclexplode(c.relacl) a WHERE c.oid >= 16384
    UNION ALL
    SELECT format('column "%s" of table "%s"', t.attname, c.relname), a.grantee, a.privilege_type
      FROM pg_catalog.pg_attribute t JOIN pg_catalog.pg_class c ON c.oid = t.attrelid, aclexplode(t.attacl) a WHERE c.oid >= 16384
    UNION ALL
    SELECT format('what role "%s" will create', pg_get_userbyid(d.defaclrole)), a.grantee, a.privilege_type
      FROM pg_catalog.pg_default_acl d, aclexplode(d.defaclacl) a WHERE a.grantee <> d.defaclrole)
  SELECT format('%s may %s on %s', CASE WHEN g.grantee = 0 THEN 'everybody' ELSE format('role "%s"', r.rolname) END,
           g.privilege_type, g.object) AS text
    FROM granted g LEFT JOIN pg_catalog.pg_roles r ON r.oid = g.grantee
   WHERE NOT COALESCE(r.rolsuper OR r.rolname IN (current_user, 'pg_database_owner') OR r.oid = (SELECT datdba FROM here), FALSE)
  UNION
  SELECT format('table "%s" belongs to role "%s"', c.relname, r.rolname)
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_roles r ON r.oid = c.relowner
   WHERE c.oid >= 16384 AND c.relkind IN ('r', 'p') AND NOT (r.rolsuper OR r.rolname = current_user OR r.oid = (SELECT datdba FROM here))
  UNION
  SELECT concat(CASE WHEN s.setrole <> 0 THEN format('for role "%s" ', r.rolname) END, 'the setting ', c)
    FROM here JOIN pg_catalog.pg_db_role_setting s ON s.setdatabase = here.oid CROSS JOIN unnest(s.setconfig) c
    LEFT JOIN pg_catalog.pg_roles r ON r.oid = s.setrole
  UNION
  SELECT format('publication "%s"', p.pubname) FROM pg_catalog.pg_publication p
  UNION
  SELECT format('subscription "%s"', s.subname) FROM pg_catalog.pg_subscription s JOIN here ON here.oid = s.subdbid
  ORDER BY 1`;

export async function readAccessRules(rows: QueryPool['rows']): Promise<string[]> {
  return (await rows<{ text: string }>(rulesQuery)).map(({ text }) => text);
}
