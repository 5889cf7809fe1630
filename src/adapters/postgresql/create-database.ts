import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { quoteIdentifier, quoteLiteral } from '#postgresql-protocol/identifier-quoting.ts';
import type { QueryPool } from '#postgresql-protocol/query-pool.ts';

interface DatabaseFacts {
  readonly oid: number;
  readonly owner: string;
  readonly connectionLimit: number;
  /** `null`: that of the template, for which no privilege is needed. */
  readonly tablespace: string | null;
  readonly hasGrants: boolean;
  readonly provider: 'b' | 'c' | 'i';
  readonly collate: string;
  readonly ctype: string;
  readonly locale: string | null;
}

interface Grant {
  readonly grantee: string | null;
  readonly privilege: string;
  readonly grantable: boolean;
}

interface Setting {
  readonly role: string | null;
  readonly name: string;
  readonly value: string;
}

/** CREATE DATABASE cannot run inside a transaction, so what follows it is undone by dropping the database again. */
export async function createDatabase(
  pool: QueryPool,
  name: string,
  like: string | undefined,
  major: number,
): Promise<void> {
  if (like === undefined) return void (await pool.rows(createStatement(name, plainLocale(major))));
  const facts = await readFacts(pool, like);
  const limit = facts.connectionLimit === -1 ? '' : ` CONNECTION LIMIT ${facts.connectionLimit}`;
  const place = facts.tablespace === null ? '' : ` TABLESPACE ${quoteIdentifier(facts.tablespace)}`;
  const owner = ` OWNER ${quoteIdentifier(facts.owner)}`;
  await pool.rows(`${createStatement(name, localeOf(facts))}${owner}${place}${limit}`);
  try {
    await copyGrantsAndSettings(pool, name, facts);
  } catch (error) {
    await pool.rows(`DROP DATABASE ${quoteIdentifier(name)}`).catch(() => undefined);
    throw error;
  }
}

function createStatement(name: string, locale: string): string {
  return `CREATE DATABASE ${quoteIdentifier(name)} TEMPLATE template0 ENCODING 'UTF8' ${locale}`;
}

/** Text sorts by its bytes, on every server the same. */
function plainLocale(major: number): string {
  if (major >= 17) return `LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8' LC_COLLATE 'C' LC_CTYPE 'C'`;
  return `LOCALE_PROVIDER libc LC_COLLATE 'C' LC_CTYPE 'C'`;
}

function localeOf(facts: DatabaseFacts): string {
  const libc = `LC_COLLATE ${quoteLiteral(facts.collate)} LC_CTYPE ${quoteLiteral(facts.ctype)}`;
  if (facts.provider === 'c') return `LOCALE_PROVIDER libc ${libc}`;
  const named = facts.provider === 'i' ? 'LOCALE_PROVIDER icu ICU_LOCALE' : 'LOCALE_PROVIDER builtin BUILTIN_LOCALE';
  return `${named} ${quoteLiteral(facts.locale ?? 'C')} ${libc}`;
}

async function readFacts(pool: QueryPool, like: string): Promise<DatabaseFacts> {
  // Column names of the locale differ between majors; as JSON each is there or null.
  const [facts] = await pool.rows<DatabaseFacts>(
    `SELECT d.oid::int8 AS oid, r.rolname AS owner, d.datconnlimit AS "connectionLimit",
            CASE WHEN d.dattablespace <> m.dattablespace THEN t.spcname END AS tablespace,
            d.datacl IS NOT NULL AS "hasGrants", d.datlocprovider AS provider, d.datcollate AS collate, d.datctype AS ctype,
            COALESCE(to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale') AS locale
       FROM pg_catalog.pg_database d
       JOIN pg_catalog.pg_roles r ON r.oid = d.datdba JOIN pg_catalog.pg_tablespace t ON t.oid = d.dattablespace
       JOIN pg_catalog.pg_database m ON m.datname = 'template0'
      WHERE d.datname = $1`,
    [like],
  );
  if (facts === undefined) {
    throw new EnclaveManagerError('not-found', `there is no database "${like}" whose owner and grants could be copied`);
  }
  return facts;
}

async function copyGrantsAndSettings(pool: QueryPool, name: string, like: DatabaseFacts): Promise<void> {
  const grants = await pool.rows<Grant>(
    `SELECT r.rolname AS grantee, a.privilege_type AS privilege, a.is_grantable AS grantable
       FROM pg_catalog.pg_database d, aclexplode(d.datacl) a LEFT JOIN pg_catalog.pg_roles r ON r.oid = a.grantee
      WHERE d.oid = $1 AND (a.grantee = 0 OR r.oid IS NOT NULL)`,
    [like.oid],
  );
  const settings = await pool.rows<Setting>(
    `SELECT r.rolname AS role, split_part(c, '=', 1) AS name, substr(c, strpos(c, '=') + 1) AS value
       FROM pg_catalog.pg_db_role_setting s CROSS JOIN unnest(s.setconfig) c
       LEFT JOIN pg_catalog.pg_roles r ON r.oid = s.setrole
      WHERE s.setdatabase = $1 AND (s.setrole = 0 OR r.oid IS NOT NULL)`,
    [like.oid],
  );
  const database = quoteIdentifier(name);
  await pool.inTransaction(async (rows) => {
    if (like.hasGrants) await rows(`REVOKE ALL ON DATABASE ${database} FROM PUBLIC, ${quoteIdentifier(like.owner)}`);
    for (const grant of grants) await rows(grantStatement(database, grant));
    for (const setting of settings) await rows(settingStatement(database, setting));
  });
}

function grantStatement(database: string, grant: Grant): string {
  // The privilege is a keyword of PostgreSQL's own, from aclexplode.
  const grantee = grant.grantee === null ? 'PUBLIC' : quoteIdentifier(grant.grantee);
  const option = grant.grantable ? ' WITH GRANT OPTION' : '';
  return `GRANT ${grant.privilege} ON DATABASE ${database} TO ${grantee}${option}`;
}

/** Settings whose stored value is a list of identifiers, already quoted one by one by the server. */
const listSettings = /^(search_path|temp_tablespaces|(local|session)_preload_libraries)$/i;

function settingStatement(database: string, setting: Setting): string {
  const target =
    setting.role === null
      ? `ALTER DATABASE ${database}`
      : `ALTER ROLE ${quoteIdentifier(setting.role)} IN DATABASE ${database}`;
  const name = setting.name.split('.').map(quoteIdentifier).join('.');
  const value = listSettings.test(setting.name) && setting.value !== '' ? setting.value : quoteLiteral(setting.value);
  return `${target} SET ${name} TO ${value}`;
}
