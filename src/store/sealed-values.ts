import { sql } from 'kysely';
import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import type { EpochKeys } from '#keys/epoch-keys.ts';
import { openColumn, sealColumn, sealedColumnEpoch } from '#keys/sealed-column.ts';
import type { Randomness } from '#ports/randomness.ts';
import { tablesOf, type Queries } from './tables.ts';

/** What sealing and opening needs of a keyring. */
export interface ColumnKeys {
  readonly currentEpoch: EpochKeys;
  epochKeys(epoch: number): EpochKeys;
}

/** Keys change while a value is being sealed: what is sealed under the old ones then could be read by a host that was left out. */
export async function requireNewestEpoch(queries: Queries, { currentEpoch }: ColumnKeys): Promise<void> {
  const newer = await tablesOf(queries)
    .selectFrom('key_epochs')
    .select('epoch')
    .where('epoch', '>', currentEpoch.epoch)
    .limit(1)
    .executeTakeFirst();
  if (newer === undefined) return;
  throw new EnclaveManagerError('lease-held', 'the keys of the cluster are being changed; nothing was written', {
    hint: 'Run the command again; keys status shows what is still to do.',
  });
}

/** Every sealed column with its table's primary key. The names of all sealed columns begin with `sealed_`, those of no others do. */
export const sealedColumns = [
  { table: 'ca_keys', column: 'sealed_private_key', key: 'ca_key_id' },
  { table: 'node_invites', column: 'sealed_mac_key', key: 'invite_id' },
  { table: 'settings', column: 'sealed_secret', key: 'name' },
] as const;

const rowsPerPage = 200;
const revokedBytes = 32;

/**
 * Encrypts anew, under the current epoch, what is sealed under another; returns how many values that were. Run it in
 * one transaction: a value that does not open (`damaged`, `no-key`) then leaves everything as it was.
 *
 * Invites of another epoch get random bytes: an evicted host may know the token, or have made the row itself under a key
 * that it still knows.
 */
export async function resealColumns(queries: Queries, keys: ColumnKeys, randomness: Randomness): Promise<number> {
  let resealed = 0;
  for (const place of sealedColumns) {
    for await (const { key, sealed } of sealedValues(queries, place)) {
      const at = { table: place.table, column: place.column, key };
      if (sealedColumnEpoch(at, sealed) === keys.currentEpoch.epoch) continue;
      const plaintext = place.table === 'node_invites' ? randomness.bytes(revokedBytes) : openColumn(keys, at, sealed);
      const value = sealColumn(keys.currentEpoch, at, plaintext, randomness);
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
