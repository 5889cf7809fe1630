import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { quoteIdentifier, quoteLiteral } from '#postgresql-protocol/identifier-quoting.ts';
import type { QueryPool } from '#postgresql-protocol/query-pool.ts';

interface Grant {
  readonly grantee: string;
  readonly privilege: string;
  readonly grantable: boolean;
}

interface Setting {
  readonly role: string | null;
  readonly name: string;
  readonly value: string;
}

/** What follows the CREATE is undone by dropping the database again. Zone configurations are not copied. */
export async function createDatabase(pool: QueryPool, name: string, like: string | undefined): Promise<void> {
  const owner = like === undefined ? undefined : await ownerOf(pool, like);
  await pool.rows(`CREATE DATABASE ${quoteIdentifier(name)}`);
  if (like === undefined || owner === undefined) return;
  try {
    await copyGrantsAndSettings(pool, name, like);
    await pool.rows(`ALTER DATABASE ${quoteIdentifier(name)} OWNER TO ${quoteIdentifier(owner)}`);
  } catch (error) {
    await pool.rows(`DROP DATABASE IF EXISTS ${quoteIdentifier(name)} CASCADE`).catch(() => undefined);
    throw error;
  }
}

async function ownerOf(pool: QueryPool, like: string): Promise<string> {
  const [row] = await pool.rows<{ owner: string }>(
    `SELECT r.rolname AS owner FROM pg_catalog.pg_database d JOIN pg_catalog.pg_roles r ON r.oid = d.datdba WHERE d.datname = $1`,
    [like],
  );
  if (row !== undefined) return row.owner;
  throw new EnclaveManagerError('not-found', `there is no database "${like}" whose owner and grants could be copied`);
}

/** These roles have all privileges on everything, and take no grants. */
const alwaysGranted = new Set(['admin', 'root']);

async function copyGrantsAndSettings(pool: QueryPool, name: string, like: string): Promise<void> {
  const grants = await pool.rows<Grant>(
    `SELECT grantee, privilege_type AS privilege, is_grantable::bool AS grantable FROM [SHOW GRANTS ON DATABASE ${quoteIdentifier(like)}]`,
  );
  const settings = await pool.rows<Setting>(
    `SELECT r.rolname AS role, split_part(s.setting, '=', 1) AS name, substr(s.setting, strpos(s.setting, '=') + 1) AS value
       FROM (SELECT setrole, unnest(setconfig) AS setting FROM pg_catalog.pg_db_role_setting
              WHERE setdatabase = (SELECT oid FROM pg_catalog.pg_database WHERE datname = $1)) s
       LEFT JOIN pg_catalog.pg_roles r ON r.oid = s.setrole`,
    [like],
  );
  const database = quoteIdentifier(name);
  for (const { grantee, privilege, grantable } of grants) {
    if (alwaysGranted.has(grantee)) continue;
    const option = grantable ? ' WITH GRANT OPTION' : '';
    // The privilege is a keyword of the server's own.
    await pool.rows(`GRANT ${privilege} ON DATABASE ${database} TO ${roleName(grantee)}${option}`);
  }
  for (const setting of settings) await pool.rows(settingStatement(database, setting));
}

const roleName = (grantee: string): string => (grantee === 'public' ? 'public' : quoteIdentifier(grantee));

function settingStatement(database: string, { role, name, value }: Setting): string {
  const target =
    role === null ? `ALTER DATABASE ${database}` : `ALTER ROLE ${quoteIdentifier(role)} IN DATABASE ${database}`;
  return `${target} SET ${quoteIdentifier(name)} TO ${quoteLiteral(value).trimStart()}`;
}
