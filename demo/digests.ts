import { createHash } from 'node:crypto';
import { sql } from 'kysely';
import type { OpenedKeyring } from '#keys/keyring.ts';
import { readCaKey } from '#store/ca-keys.ts';
import { backedUpTables, loadMigrations } from '#store/migrations.ts';
import { readSetting } from '#store/settings.ts';
import { tablesOf, type Queries } from '#store/tables.ts';

/** `sha256` over the sorted SHA-256 of every row: the same rows in any order give the same digest. */
export interface TableDigest {
  readonly table: string;
  readonly rows: number;
  readonly sha256: string;
}

/** What a restore renews by design. Every other column of every row must be what it was. */
const renewedColumns: Readonly<Record<string, readonly string[]>> = {
  cluster: ['incarnation_number', 'incarnation_random'],
  nodes: ['updated_at'],
};

/** What a restore adds by design: one record and one audit event. */
export interface AddedRows {
  readonly restoreId: string;
  /** The newest position before the restore. */
  readonly auditPosition: number;
}

/** Hashes every row of every table that a backup holds, in the database server; `added` are left out. */
export async function digestTables(queries: Queries, added?: AddedRows): Promise<TableDigest[]> {
  const digests: TableDigest[] = [];
  for (const table of backedUpTables(loadMigrations().length)) {
    const renewed = sql.join((renewedColumns[table] ?? []).map((column) => sql.lit(column)));
    const condition = added === undefined ? sql`TRUE` : conditionOf(table, added);
    const { rows } = await sql<{ rows: number; sha256: string }>`
      SELECT count(*) AS rows, encode(sha256(coalesce(string_agg(digest, ''::bytea ORDER BY digest), ''::bytea)), 'hex') AS sha256
      FROM (
        SELECT sha256(convert_to((to_jsonb(t) - ARRAY[${renewed}]::text[])::text, 'UTF8')) AS digest
        FROM ${sql.table(table)} t
        WHERE ${condition}
      ) AS digests`.execute(queries);
    digests.push({ table, ...rows[0]! });
  }
  return digests;
}

function conditionOf(table: string, { restoreId, auditPosition }: AddedRows) {
  if (table === 'restores') return sql`restore_id <> ${restoreId}`;
  if (table === 'audit_events') return sql`position <= ${auditPosition}`;
  return sql`TRUE`;
}

/** Opens every sealed secret of the database; name → SHA-256 of what was in it. */
export async function openSecrets(queries: Queries, keyring: OpenedKeyring): Promise<Map<string, string>> {
  const secrets = new Map<string, string>();
  const tables = tablesOf(queries);
  const keep = (name: string, secret: Buffer | null | undefined): void => {
    if (secret != null) secrets.set(name, createHash('sha256').update(secret).digest('hex'));
  };
  for (const { ca_key_id: id } of await tables.selectFrom('ca_keys').select('ca_key_id').execute()) {
    keep(`ca_keys ${id}`, (await readCaKey(queries, keyring, id))?.privateKey);
  }
  for (const { name } of await tables.selectFrom('settings').select('name').execute()) {
    keep(`settings ${name}`, (await readSetting(queries, keyring, name))?.secret);
  }
  return secrets;
}

export const rowsOf = (tables: readonly TableDigest[]): number => tables.reduce((sum, { rows }) => sum + rows, 0);
