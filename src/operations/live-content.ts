import { sql } from 'kysely';
import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import type { Database, DatabaseServer } from '#ports/database.ts';
import { backedUpTables, loadMigrations } from '#store/migrations.ts';
import { askLive } from './ask-live.ts';
import { hasImport } from './find-import.ts';
import { readLiveCluster } from './read-live-cluster.ts';

/**
 * What a restore finds in the live database. `nothing`: it may be dropped. `creating`: a cluster that was only begun.
 * `rows`: some without a cluster, as where somebody deleted its row.
 */
export type LiveContent = 'nothing' | 'cluster' | 'creating' | 'import' | 'rows';

/** Where there is no database it holds nothing. Throws `configuration` for one of something else. */
export async function readLiveContent(server: DatabaseServer): Promise<LiveContent> {
  if (await hasImport({ server })) return 'import';
  const cluster = await readLiveCluster({ server });
  if (cluster !== undefined) return cluster.state === 'ready' ? 'cluster' : 'creating';
  return (await holdsRows(server)) ? 'rows' : 'nothing';
}

/** Whether the live database holds what its migrations did not put there. */
export const holdsRows = async (server: DatabaseServer): Promise<boolean> => (await askLive(server, hasRows)) ?? false;

/** Whether a table of ours holds rows that backups have, whatever else is there. */
export const holdsRowsOfCluster = async (server: DatabaseServer): Promise<boolean> =>
  (await askLive(server, hasRowsOfCluster)) ?? false;

/** Where the row of the cluster is gone, nothing says whose rows these are. */
export function rowsWithoutCluster(liveName: string): EnclaveManagerError {
  return new EnclaveManagerError(
    'damaged',
    `no safety backup of "${liveName}" can be taken: it holds rows, and no cluster row`,
    {
      hint: 'Go on without one: --without-safety-backup. The replaced database is kept until restore cleanup either way.',
    },
  );
}

async function hasRowsOfCluster(database: Database): Promise<boolean> {
  const ours = new Set(backedUpTables(loadMigrations().length));
  return await isAnyFilled(database, (await database.tableNames()).filter((table) => ours.has(table)).map(inPublic));
}

async function hasRows(database: Database): Promise<boolean> {
  const passing = neverBackedUp();
  const tables = (await database.tableNames()).filter((table) => !passing.has(table));
  if (await isAnyFilled(database, tables.map(inPublic))) return true;
  return database.connection.engine === 'postgresql' && (await hasRowsOutOfSight(database));
}

/** Rows may have been moved to another schema. What an extension brings there is none of ours. */
async function hasRowsOutOfSight(database: Database): Promise<boolean> {
  const { rows } = await sql<QualifiedName & { readable: boolean }>`
    SELECT n.nspname AS schema, c.relname AS name,
           has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT') AS readable
      FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'p', 'm') AND n.nspname NOT IN ('public', 'information_schema')
       AND n.nspname !~ '^pg_(catalog$|toast|temp)'
       AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
                        WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')`.execute(
    database.queries,
  );
  if (rows.some(({ readable }) => !readable)) return true;
  return await isAnyFilled(database, rows);
}

interface QualifiedName {
  readonly schema: string;
  readonly name: string;
}

const inPublic = (name: string): QualifiedName => ({ schema: 'public', name });

async function isAnyFilled(database: Database, tables: readonly QualifiedName[]): Promise<boolean> {
  for (const { schema, name } of tables) {
    const { rows } = await sql`SELECT 1 AS found FROM ${sql.id(schema, name)} LIMIT 1`.execute(database.queries);
    if (rows.length > 0) return true;
  }
  return false;
}

/** Tables of the present only; some begin with rows. */
function neverBackedUp(): Set<string> {
  const migrations = loadMigrations();
  const passing = new Set(['schema_migrations', ...migrations.flatMap(({ createdTables }) => createdTables)]);
  for (const table of backedUpTables(migrations.length)) passing.delete(table);
  return passing;
}
