import { quoteIdentifier } from '#postgresql-protocol/identifier-quoting.ts';
import type { Session } from '#postgresql-protocol/session.ts';

interface Grant {
  readonly object: string;
  readonly grantee: string;
  readonly privilege: string;
}

/** These roles may do everything; what everybody may do with a new database is no rule either. */
const mayAnyway = new Set(['admin', 'root']);
const usual = (grant: Grant): boolean =>
  grant.object === 'the database' && grant.grantee === 'public' && ['CONNECT', 'TEMPORARY'].includes(grant.privilege);

const tablesQuery = `SELECT concat('table "', table_name, '"') AS object, grantee, privilege_type AS privilege
   FROM information_schema.table_privileges WHERE table_schema = 'public'`;

const settingsQuery = `SELECT r.rolname AS role, s.setting
   FROM (SELECT setrole, unnest(setconfig) AS setting FROM pg_catalog.pg_db_role_setting
          WHERE setdatabase = (SELECT oid FROM pg_catalog.pg_database WHERE datname = $1)) s
   LEFT JOIN pg_catalog.pg_roles r ON r.oid = s.setrole`;

export async function readAccessRules(rows: Session['rows'], name: string): Promise<string[]> {
  const ofDatabase = `SELECT 'the database' AS object, grantee, privilege_type AS privilege FROM [SHOW GRANTS ON DATABASE ${quoteIdentifier(name)}]`;
  const [self] = await rows<{ name: string }>('SELECT current_user AS name');
  const grants = [...(await rows<Grant>(ofDatabase)), ...(await rows<Grant>(tablesQuery))];
  const settings = await rows<{ role: string | null; setting: string }>(settingsQuery, [name]);
  const texts = [
    ...grants
      .filter((grant) => grant.grantee !== self?.name && !mayAnyway.has(grant.grantee) && !usual(grant))
      .map(({ object, grantee, privilege }) => `${granteeText(grantee)} may ${privilege} on ${object}`),
    ...settings.map(({ role, setting }) => `${role === null ? '' : `for role "${role}" `}the setting ${setting}`),
  ];
  return [...new Set(texts)].toSorted();
}

const granteeText = (grantee: string): string =>
  grantee.toLowerCase() === 'public' ? 'everybody' : `role "${grantee}"`;
