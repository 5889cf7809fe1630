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
  return await isAnyFilled(
    database,
    (await database.tableNames()).filter((table) => ours.has(table)),
  );
}

async function hasRows(database: Database): Promise<boolean> {
  const tables = await database.tableNames();
  // Rows may have been moved out of sight, to another schema.
  const defined = await database.definitions();
  if (defined.some(({ table }) => table !== null && !tables.includes(table))) return true;
  const passing = neverBackedUp();
  return await isAnyFilled(
    database,
    tables.filter((table) => !passing.has(table)),
  );
}

async function isAnyFilled(database: Database, tables: readonly string[]): Promise<boolean> {
  for (const table of tables) {
    const { rows } = await sql`SELECT 1 AS found FROM ${sql.id('public', table)} LIMIT 1`.execute(database.queries);
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
