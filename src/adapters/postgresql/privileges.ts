import { quoteIdentifier } from '#postgresql-protocol/identifier-quoting.ts';
import type { QueryPool } from '#postgresql-protocol/query-pool.ts';
import { missingOfRole, noOtherDatabase, type RolePrivileges } from '#postgresql-protocol/role-privileges.ts';

interface PostgresqlPrivileges extends RolePrivileges {
  readonly signalBackend: boolean;
}

/** Sentences that say what the role lacks for a restore, and the statement that gives it. */
export async function missingPrivileges(
  rows: QueryPool['rows'],
  names: { readonly live: string; readonly maintenance: string },
): Promise<string[]> {
  const [found] = await rows<PostgresqlPrivileges>(
    `SELECT me.rolname AS role, me.rolsuper AS superuser, me.rolcreatedb AS "createDatabase",
            -- Needed only where other roles use the database: our own sessions any role may end.
            pg_has_role(me.oid, 'pg_signal_backend', 'USAGE') OR NOT EXISTS (
              SELECT 1 FROM pg_catalog.pg_stat_activity WHERE datname = $1 AND usesysid <> me.oid) AS "signalBackend",
            owner.rolname AS owner,
            -- To rename it, and to make its like: since PostgreSQL 16 that is a privilege of its own.
            owner.oid IS NULL OR (pg_has_role(me.oid, owner.oid, 'USAGE') AND pg_has_role(me.oid, owner.oid,
              CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END)) AS "ownsLive"
       FROM pg_catalog.pg_roles me
       LEFT JOIN pg_catalog.pg_database d ON d.datname = $1 LEFT JOIN pg_catalog.pg_roles owner ON owner.oid = d.datdba
      WHERE me.rolname = current_user`,
    [names.live],
  );
  const missing: string[] = [];
  if (names.maintenance === names.live) {
    missing.push(noOtherDatabase(names.live, '"postgres"'));
  }
  if (found!.superuser) return missing;
  missing.push(...missingOfRole(found!, names.live));
  if (found!.signalBackend) return missing;
  const role = quoteIdentifier(found!.role);
  return [...missing, `The role ${role} may not end the sessions of other roles: GRANT pg_signal_backend TO ${role};`];
}
