import { quoteIdentifier } from '#postgresql-protocol/identifier-quoting.ts';
import type { QueryPool } from '#postgresql-protocol/query-pool.ts';

interface RolePrivileges {
  readonly role: string;
  readonly superuser: boolean;
  readonly createDatabase: boolean;
  readonly owner: string | null;
  readonly ownsLive: boolean;
}

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
    missing.push(
      `The role can connect to no database besides "${names.live}", which cannot be renamed from inside: ` +
        'let it connect to "postgres" or "defaultdb".',
    );
  }
  if (found === undefined || found.superuser) return missing;
  const role = quoteIdentifier(found.role);
  if (!found.createDatabase) {
    missing.push(`The role ${role} may not create and rename databases: ALTER ROLE ${role} CREATEDB;`);
  }
  if (!found.ownsLive) {
    missing.push(
      `The role ${role} is not a member of the owner of "${names.live}": GRANT ${quoteIdentifier(found.owner!)} TO ${role};`,
    );
  }
  return missing;
}
