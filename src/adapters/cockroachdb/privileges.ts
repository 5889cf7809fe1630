import type { QueryPool } from '#postgresql-protocol/query-pool.ts';
import { missingOfRole, noOtherDatabase, type RolePrivileges } from '#postgresql-protocol/role-privileges.ts';

/** Sentences that say what the role lacks for a restore, and the statement that gives it. */
export async function missingPrivileges(
  rows: QueryPool['rows'],
  names: { readonly live: string; readonly maintenance: string },
): Promise<string[]> {
  const [found] = await rows<RolePrivileges>(
    `SELECT me.rolname AS role, me.rolsuper AS superuser, me.rolcreatedb AS "createDatabase", owner.rolname AS owner,
            owner.oid IS NULL OR pg_has_role(me.oid, owner.oid, 'MEMBER') AS "ownsLive"
       FROM pg_catalog.pg_roles me
       LEFT JOIN pg_catalog.pg_database d ON d.datname = $1 LEFT JOIN pg_catalog.pg_roles owner ON owner.oid = d.datdba
      WHERE me.rolname = current_user`,
    [names.live],
  );
  const missing: string[] = [];
  if (names.maintenance === names.live) {
    missing.push(noOtherDatabase(names.live, '"postgres" or "defaultdb"'));
  }
  if (found === undefined || found.superuser) return missing;
  return [...missing, ...missingOfRole(found, names.live)];
}
