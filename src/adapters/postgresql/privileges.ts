import { quoteIdentifier } from '#postgresql-protocol/identifier-quoting.ts';
import type { QueryPool } from '#postgresql-protocol/query-pool.ts';

interface RolePrivileges {
  readonly role: string;
  readonly superuser: boolean;
  readonly createDatabase: boolean;
  readonly signalBackend: boolean;
  readonly owner: string | null;
  readonly ownsLive: boolean;
}

/** Sentences that say what the role lacks for a restore, and the statement that gives it. */
export async function missingPrivileges(
  rows: QueryPool['rows'],
  names: { readonly live: string; readonly maintenance: string },
): Promise<string[]> {
  const [found] = await rows<RolePrivileges>(
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
    missing.push(
      `The role can connect to no database besides "${names.live}", which cannot be renamed from inside: ` +
        'let it connect to "postgres".',
    );
  }
  if (found!.superuser) return missing;
  return [...missing, ...missingOfRole(found!, names.live)];
}

function missingOfRole(found: RolePrivileges, live: string): string[] {
  const role = quoteIdentifier(found.role);
  const missing: string[] = [];
  if (!found.createDatabase) {
    missing.push(`The role ${role} may not create and rename databases: ALTER ROLE ${role} CREATEDB;`);
  }
  if (!found.ownsLive) {
    missing.push(
      `The role ${role} is not a member of the owner of "${live}": GRANT ${quoteIdentifier(found.owner!)} TO ${role};`,
    );
  }
  if (!found.signalBackend) {
    missing.push(`The role ${role} may not end the sessions of other roles: GRANT pg_signal_backend TO ${role};`);
  }
  return missing;
}
