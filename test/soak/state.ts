import { createHash } from 'node:crypto';
import { sql } from 'kysely';
import { isEnclaveManagerError } from '#errors/enclave-manager-error.ts';
import type { OpenedKeyring } from '#keys/keyring.ts';
import { openColumn } from '#keys/sealed-column.ts';
import type { Database } from '#ports/database.ts';
import { readAuditHead } from '#store/audit.ts';
import { readCluster } from '#store/cluster.ts';
import { backedUpTables, loadMigrations } from '#store/migrations.ts';
import { sealedColumns as stored } from '#store/sealed-values.ts';
import { tablesOf, type Queries } from '#store/tables.ts';

/** What the model knows of a database, live or in a backup. */
export interface State {
  /** Table → digest of its rows in any order. Tables that the program itself writes are not among them. */
  readonly tables: Readonly<Record<string, string>>;
  /** The audit log is a chain: one hash says what all events before it are. */
  readonly audit: { readonly position: number; readonly hash: string };
  /** Changes with every restore and rollback. */
  readonly incarnation: string;
  /** Sealed values that do not open, because somebody else wrote them. */
  readonly unreadable: readonly SealedPlace[];
}

export interface SealedPlace {
  readonly table: string;
  readonly column: string;
  readonly key: string;
}

/** Written by the program, and by a restore brought to the state of today. */
const ownTables = [
  'audit_events',
  'cluster',
  'credentials',
  'key_epochs',
  'key_slots',
  'memberships',
  'nodes',
  'restores',
];

/** Encrypted anew when keys change: their contents are compared, opened. */
const sealedColumns: Readonly<Record<string, readonly string[]>> = {
  ca_keys: ['sealed_private_key'],
  settings: ['sealed_secret'],
};

/** In one transaction, so that it is the state of one moment. */
export async function readState(database: Database, keyring: OpenedKeyring): Promise<State | undefined> {
  return await database.transaction((queries) => stateOf(queries, keyring));
}

export async function stateOf(queries: Queries, keyring: OpenedKeyring): Promise<State | undefined> {
  const cluster = await readCluster(queries);
  if (cluster === undefined) return undefined;
  const tables: Record<string, string> = {};
  for (const table of backedUpTables(loadMigrations().length).filter((name) => !ownTables.includes(name)))
    tables[table] = await digestTable(queries, table);
  const { digest, unreadable } = await digestSecrets(queries, keyring);
  tables['sealed secrets'] = digest;
  const { number, random } = cluster.incarnation;
  return { tables, audit: await readAuditHead(queries), incarnation: `${number} ${random}`, unreadable };
}

async function digestTable(queries: Queries, table: string): Promise<string> {
  const sealed = sql.join((sealedColumns[table] ?? []).map((column) => sql.lit(column)));
  const { rows } = await sql<{ digest: string }>`
    SELECT count(*) || ' rows ' || encode(sha256(coalesce(string_agg(digest, ''::bytea ORDER BY digest), ''::bytea)), 'hex') AS digest
      FROM (SELECT sha256(convert_to((to_jsonb(t) - ARRAY[${sealed}]::text[])::text, 'UTF8')) AS digest
              FROM ${sql.table(table)} t) AS digests`.execute(queries);
  return rows[0]!.digest;
}

/** A database that was replaced before the keys changed is sealed under those of its time, which its readers refuse. */
async function digestSecrets(
  queries: Queries,
  keyring: OpenedKeyring,
): Promise<{ readonly digest: string; readonly unreadable: readonly SealedPlace[] }> {
  const opened: string[] = [];
  const unreadable: SealedPlace[] = [];
  for (const { table, column, key } of stored.filter((each) => each.table in sealedColumns)) {
    const { rows } = await sql<{ key: string; sealed: Buffer }>`
      SELECT ${sql.ref(key)} AS key, ${sql.ref(column)} AS sealed FROM ${sql.table(table)}
       WHERE ${sql.ref(column)} IS NOT NULL`.execute(queries);
    for (const row of rows) {
      const place = { table, column, key: row.key };
      const secret = openOrUndefined(keyring, place, row.sealed);
      if (secret === undefined) unreadable.push(place);
      // What does not open has to stay as it is.
      opened.push(`${table} ${row.key} ${secret?.toString('hex') ?? `planted ${row.sealed.toString('hex')}`}`);
    }
  }
  const all = createHash('sha256').update(opened.toSorted().join('\n')).digest('hex');
  return { digest: `${opened.length} secrets ${all}`, unreadable };
}

function openOrUndefined(keyring: OpenedKeyring, place: SealedPlace, sealed: Buffer): Buffer | undefined {
  try {
    return openColumn(keyring, place, sealed);
  } catch (error) {
    if (isEnclaveManagerError(error, 'damaged', 'forged')) return undefined;
    throw error;
  }
}

/** Tables that differ, for people; empty: the same data. */
export function differences(wanted: State, found: State): string[] {
  const names = Object.keys({ ...wanted.tables, ...found.tables });
  return names
    .filter((name) => wanted.tables[name] !== found.tables[name])
    .map((name) => `${name}: ${wanted.tables[name]} expected, ${found.tables[name]} found`);
}

/**
 * Whether two databases hold the same rows in every table, those of the program included: events are appended for whatever
 * changes them. As many events are not the same events; a restore begins another log at the length that its backup had.
 */
export function isSameState(one: State, other: State): boolean {
  return (
    differences(one, other).length === 0 && one.audit.hash === other.audit.hash && one.incarnation === other.incarnation
  );
}

/** Whether the chain that ends in the database's head goes through the head that was known before. */
export async function isAuditPrefix(queries: Queries, known: State['audit']): Promise<boolean> {
  if (known.position === 0) return true;
  const row = await tablesOf(queries)
    .selectFrom('audit_events')
    .select('hash')
    .where('position', '=', known.position)
    .executeTakeFirst();
  return row?.hash.toString('hex') === known.hash;
}
