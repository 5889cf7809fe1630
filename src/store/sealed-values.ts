import { sql } from 'kysely';
import type { EpochKeys } from '#keys/epoch-keys.ts';
import { openColumn, sealColumn, sealedColumnEpoch } from '#keys/sealed-column.ts';
import type { Randomness } from '#ports/randomness.ts';
import type { Queries } from './tables.ts';

/** What sealing and opening needs of a keyring. */
export interface ColumnKeys {
  readonly currentEpoch: EpochKeys;
  epochKeys(epoch: number): EpochKeys;
}

/** Every sealed column with its table's primary key. The names of all sealed columns begin with `sealed_`, those of no others do. */
export const sealedColumns = [
  { table: 'ca_keys', column: 'sealed_private_key', key: 'ca_key_id' },
  { table: 'node_invites', column: 'sealed_mac_key', key: 'invite_id' },
  { table: 'settings', column: 'sealed_secret', key: 'name' },
] as const;

const rowsPerPage = 200;

/**
 * Encrypts anew, under the current epoch, what is sealed under another; returns how many values that were. Run it in
 * one transaction: a value that does not open (`damaged`, `no-key`) then leaves everything as it was.
 */
export async function resealColumns(queries: Queries, keys: ColumnKeys, randomness: Randomness): Promise<number> {
  let resealed = 0;
  for (const place of sealedColumns) {
    for await (const { key, sealed } of sealedValues(queries, place)) {
      const at = { table: place.table, column: place.column, key };
      if (sealedColumnEpoch(at, sealed) === keys.currentEpoch.epoch) continue;
      const value = sealColumn(keys.currentEpoch, at, openColumn(keys, at, sealed), randomness);
      await sql`UPDATE ${sql.table(place.table)} SET ${sql.ref(place.column)} = ${value}
        WHERE ${sql.ref(place.key)} = ${key}`.execute(queries);
      resealed += 1;
    }
  }
  return resealed;
}

interface SealedValue {
  readonly key: string;
  readonly sealed: Buffer;
}

async function* sealedValues(queries: Queries, place: (typeof sealedColumns)[number]): AsyncGenerator<SealedValue> {
  const [table, column, key] = [sql.table(place.table), sql.ref(place.column), sql.ref(place.key)];
  let after: string | undefined;
  for (;;) {
    const beyond = after === undefined ? sql`TRUE` : sql`${key} > ${after}`;
    const { rows } = await sql<SealedValue>`SELECT ${key} AS key, ${column} AS sealed FROM ${table}
      WHERE ${column} IS NOT NULL AND ${beyond} ORDER BY ${key} LIMIT ${sql.lit(rowsPerPage)}`.execute(queries);
    yield* rows;
    if (rows.length < rowsPerPage) return;
    after = rows.at(-1)?.key;
  }
}
