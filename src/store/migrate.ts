import { sql } from 'kysely';
import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import type { Database } from '#ports/database.ts';
import { loadMigrations, type Migration } from './migrations.ts';
import { splitStatements } from './sql-statements.ts';
import { tablesOf, type Queries } from './tables.ts';

export interface MigrateResult {
  readonly from: number;
  readonly to: number;
}

/**
 * Brings the schema forward to `to`, by default to the newest version; each migration in one transaction. Several
 * processes may do this at once. `beforeCommit` runs last in each of these transactions. `version-incompatible`: the
 * database has a migration that this program does not know, or knows with other contents. `damaged`: see `requireRecorded`.
 */
export async function migrate(
  database: Database,
  options: {
    readonly to?: number;
    readonly migrations?: readonly Migration[];
    readonly beforeCommit?: (queries: Queries) => Promise<void>;
  } = {},
): Promise<MigrateResult> {
  const migrations = options.migrations ?? loadMigrations();
  const to = options.to ?? migrations.length;
  if (to > migrations.length) {
    throw new EnclaveManagerError(
      'version-incompatible',
      `schema version ${to} is newer than ${migrations.length}, the newest this program knows`,
    );
  }
  await createMigrationTable(database);
  const from = newestVersion(checkApplied(await appliedMigrations(database.queries), migrations, database.name));
  for (const migration of migrations.slice(0, to)) {
    // Each starts by taking the lock and looking again, because another process may have been faster.
    await database.transaction(async (queries) => {
      await applyOnce(queries, migration, migrations, database.name);
      await options.beforeCommit?.(queries);
    });
  }
  return { from, to: Math.max(from, to) };
}

/** The newest applied migration; 0 for a database without tables. Says nothing about whether this program knows it. */
export async function schemaVersion(database: Database): Promise<number> {
  const tables = await database.tableNames();
  return tables.includes('schema_migrations') ? newestVersion(await appliedMigrations(database.queries)) : 0;
}

/** `version-incompatible` unless the given migrations are ones this program has, with the same contents. */
export function checkMigrations(applied: readonly AppliedMigration[], place: string): void {
  checkApplied(applied, loadMigrations(), place);
}

export interface AppliedMigration {
  readonly version: number;
  readonly checksum: string;
}

/** The sentinel row has version 0: it serialises migrators on engines without advisory locks. */
const migrationColumns = `schema_migrations (
  version INT8 PRIMARY KEY,
  name TEXT NOT NULL,
  checksum TEXT NOT NULL,
  applied_at TIMESTAMPTZ NOT NULL
)`;

const migrationTable = `
CREATE TABLE IF NOT EXISTS ${migrationColumns};
INSERT INTO schema_migrations (version, name, checksum, applied_at) VALUES (0, 'lock', '', now())
ON CONFLICT (version) DO NOTHING;
`;

/** What an export writes, so that the loaded database counts as migrated. */
export function migrationTableStatements(applied: readonly Migration[], at: Date): string[] {
  const rows = [{ version: 0, name: 'lock', checksum: '' }, ...applied].map(
    ({ version, name, checksum }) => `(${version}, '${name}', '${checksum}', '${at.toISOString()}')`,
  );
  return [
    `CREATE TABLE ${migrationColumns}`,
    `INSERT INTO schema_migrations (version, name, checksum, applied_at) VALUES\n${rows.join(',\n')}`,
  ];
}

async function createMigrationTable(database: Database): Promise<void> {
  if ((await database.tableNames()).includes('schema_migrations')) return;
  try {
    await database.runScript(migrationTable);
  } catch (error) {
    // Of two processes that create the table at once, one is refused although it asked IF NOT EXISTS.
    if (!(await database.tableNames()).includes('schema_migrations')) throw error;
  }
}

async function applyOnce(
  queries: Queries,
  migration: Migration,
  known: readonly Migration[],
  place: string,
): Promise<void> {
  await lockMigrations(queries);
  const applied = checkApplied(await appliedMigrations(queries), known, place);
  if (applied.some((row) => row.version === migration.version)) return;
  await requireRecorded(queries, place, known);
  for (const statement of splitStatements(migration.sql)) await sql.raw(statement).execute(queries);
  const { version, name, checksum } = migration;
  await tablesOf(queries)
    .insertInto('schema_migrations')
    .values({ version, name, checksum, applied_at: sql<Date>`now()` })
    .execute();
}

/**
 * Throws `damaged` where a migration was applied whose row is gone: one before others, or one whose tables are there. Whoever
 * believes the rows that are left would leave these tables out of a backup, or make them a second time.
 */
export async function requireRecorded(
  queries: Queries,
  place: string,
  known: readonly Migration[] = loadMigrations(),
): Promise<void> {
  // The tables first: what another process applies meanwhile is recorded when the rows are read.
  const { rows } = await sql<{ table_name: string }>`
    SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'`.execute(queries);
  const present = new Set(rows.map((row) => row.table_name));
  const recorded = new Set((await appliedMigrations(queries)).map(({ version }) => version));
  const newest = Math.max(0, ...recorded);
  const made = new Set(known.filter(({ version }) => recorded.has(version)).flatMap((each) => each.createdTables));
  for (const { version, name, createdTables } of known.filter((each) => !recorded.has(each.version))) {
    const table = createdTables.find((each) => present.has(each) && !made.has(each));
    if (table !== undefined)
      throw notRecorded(place, `migration ${version} (${name}), which made its table "${table}"`);
    if (version < newest) throw notRecorded(place, `migration ${version} (${name}), and does migration ${newest}`);
  }
}

function notRecorded(place: string, what: string): EnclaveManagerError {
  return new EnclaveManagerError(
    'damaged',
    `${place} does not record ${what}: rows of schema_migrations were deleted`,
    {
      hint: 'Find out who else writes to the database, and put the rows back, or restore a backup: restore run ID --without-safety-backup.',
    },
  );
}

/** Updates the sentinel besides locking it: whoever waited is then made to begin again and sees what was applied. */
async function lockMigrations(queries: Queries): Promise<void> {
  const tables = tablesOf(queries);
  await tables.selectFrom('schema_migrations').select('version').where('version', '=', 0).forUpdate().execute();
  await tables
    .updateTable('schema_migrations')
    .set({ applied_at: sql<Date>`now()` })
    .where('version', '=', 0)
    .execute();
}

/** What a manifest records: every applied migration with its checksum, in order. */
export async function appliedMigrations(queries: Queries): Promise<AppliedMigration[]> {
  return await tablesOf(queries)
    .selectFrom('schema_migrations')
    .select(['version', 'checksum'])
    .where('version', '>', 0)
    .orderBy('version')
    .execute();
}

const newestVersion = (applied: readonly AppliedMigration[]): number => applied.at(-1)?.version ?? 0;

function checkApplied(
  applied: readonly AppliedMigration[],
  known: readonly Migration[],
  place: string,
): readonly AppliedMigration[] {
  for (const { version, checksum } of applied) {
    const migration = known.find((candidate) => candidate.version === version);
    if (migration === undefined) {
      throw new EnclaveManagerError(
        'version-incompatible',
        `${place} has schema version ${version}; this program knows versions up to ${known.length}`,
      );
    }
    if (migration.checksum !== checksum) {
      throw new EnclaveManagerError(
        'version-incompatible',
        `migration ${version} (${migration.name}) of ${place} is not the one this program ships: ` +
          `its checksum is ${checksum.slice(0, 80)}, expected ${migration.checksum}`,
        { hint: 'Use the release that created it; a released migration must never be edited.' },
      );
    }
  }
  return applied;
}
