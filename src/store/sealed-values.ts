import { sql } from 'kysely';
import { EnclaveManagerError, isEnclaveManagerError } from '#errors/enclave-manager-error.ts';
import type { EpochKeys } from '#keys/epoch-keys.ts';
import { sha256Hex } from '#keys/keyring-entry.ts';
import { maxKeyringNumber, parseKeyringPath } from '#keys/keyring-paths.ts';
import { openColumn, sealColumn, sealedColumnEpoch, type ColumnPlace } from '#keys/sealed-column.ts';
import type { Randomness } from '#ports/randomness.ts';
import { tablesOf, type Queries } from './tables.ts';

/** What sealing and opening needs of a keyring. */
export interface ColumnKeys {
  readonly currentEpoch: EpochKeys;
  epochKeys(epoch: number): EpochKeys;
  /** Every authentic epoch; with `rejected`, what lay in their places and counts for nothing. */
  readonly epochs?: readonly number[];
  readonly rejected?: readonly { readonly path: string }[];
  /** Digests of everything that the keyring was opened from. */
  readonly seen?: ReadonlySet<string>;
}

/** Keys change while a value is being sealed: what is sealed under the old ones then could be read by a host that was left out. */
export async function requireNewestEpoch(queries: Queries, keys: ColumnKeys): Promise<void> {
  const later = await tablesOf(queries)
    .selectFrom('key_epochs')
    .select(['epoch', 'document'])
    .where('epoch', '>', keys.currentEpoch.epoch)
    .where('epoch', '<=', maxKeyringNumber)
    .orderBy('epoch')
    .execute();
  const { epochs = [], seen } = keys;
  // By bytes: in a place where junk lay, the cluster's own document may lie by now.
  const isJunk = (epoch: number, document: Buffer): boolean =>
    !epochs.includes(epoch) && seen?.has(sha256Hex(document)) === true;
  if (later.every(({ epoch, document }) => isJunk(epoch, document))) return;
  throw new EnclaveManagerError('lease-held', 'the keys of the cluster are being changed; nothing was written', {
    hint: 'Run the command again; keys status shows what is still to do.',
  });
}

/** Epochs in whose place lies what the cluster did not sign, so that they are none: whoever writes rows must not stop us with them. */
export function junkEpochs({ epochs = [], rejected = [] }: ColumnKeys): ReadonlySet<number> {
  const places = rejected.map(({ path }) => parseKeyringPath(path));
  return new Set(
    places.flatMap((place) => (place?.type === 'epoch' && !epochs.includes(place.epoch) ? [place.epoch] : [])),
  );
}

/** Every sealed column with its table's primary key. The names of all sealed columns begin with `sealed_`, those of no others do. */
export const sealedColumns = [
  { table: 'ca_keys', column: 'sealed_private_key', key: 'ca_key_id' },
  { table: 'node_invites', column: 'sealed_mac_key', key: 'invite_id' },
  { table: 'settings', column: 'sealed_secret', key: 'name' },
] as const;

const rowsPerPage = 200;
const revokedBytes = 32;

/** Which epochs but the current one may have sealed the values, and what becomes of a value that does not open so. */
export interface ResealOptions {
  readonly accepted: readonly number[];
  /**
   * `throw`: then everything stays as it was, in a transaction. `leave`: rows of a backup are restored as they are; whoever
   * reads such a value hears that it does not count.
   */
  readonly refused: 'throw' | 'leave';
  /** Of those, only what it knows is sealed anew. */
  readonly isKnown?: KnowsSealed | undefined;
}

/** Whether a value, as it is sealed, is one of those that were looked at. */
export type KnowsSealed = (place: ColumnPlace, sealed: Uint8Array) => boolean;

export interface Resealed {
  readonly values: number;
  /** Each a sentence. */
  readonly left: readonly string[];
}

/**
 * Encrypts anew, under the current epoch, what is sealed under an accepted one. Throws `forged` for a value of another
 * epoch, because an evicted host could have made it, and what `openColumn` throws.
 *
 * Invites of another epoch get random bytes: an evicted host may know the token, or have made the row itself under a key
 * that it still knows.
 */
export async function resealColumns(
  queries: Queries,
  keys: ColumnKeys,
  options: ResealOptions,
  randomness: Randomness,
): Promise<Resealed> {
  let values = 0;
  const left: string[] = [];
  for (const place of sealedColumns) {
    for await (const { key, sealed } of sealedValues(queries, place)) {
      const at = { table: place.table, column: place.column, key };
      if (epochOrUndefined(at, sealed) === keys.currentEpoch.epoch) continue;
      const plaintext = plaintextOf(keys, at, sealed, options, randomness);
      if (typeof plaintext === 'string') {
        left.push(plaintext);
        continue;
      }
      const value = sealColumn(keys.currentEpoch, at, plaintext, randomness);
      await sql`UPDATE ${sql.table(place.table)} SET ${sql.ref(place.column)} = ${value}
        WHERE ${sql.ref(place.key)} = ${key}`.execute(queries);
      values += 1;
    }
  }
  return { values, left };
}

/** What is to be sealed anew, or why nothing is. */
function plaintextOf(
  keys: ColumnKeys,
  at: ColumnPlace,
  sealed: Buffer,
  { accepted, refused, isKnown }: ResealOptions,
  randomness: Randomness,
): Buffer | string {
  if (at.table === 'node_invites') return randomness.bytes(revokedBytes);
  try {
    if (isKnown?.(at, sealed) === false) throw unknownValue(at);
    return openAccepted(keys, at, sealed, accepted);
  } catch (error) {
    if (refused === 'throw' || !isEnclaveManagerError(error)) throw error;
    return error.message;
  }
}

/** Throws as `openCurrentColumn` does for a value that does not open under the current epoch; reads every one. */
export async function requireCurrentColumns(queries: Queries, keys: ColumnKeys): Promise<void> {
  for (const place of sealedColumns.filter(({ table }) => table !== 'node_invites')) {
    for await (const { key, sealed } of sealedValues(queries, place)) {
      openCurrentColumn(keys, { table: place.table, column: place.column, key }, sealed);
    }
  }
}

/**
 * Opens a value for use. Hosts evicted since then know the keys of earlier epochs, and with a right to write rows could have
 * sealed it themselves: such a value is `forged`. Otherwise as `openColumn`.
 */
export function openCurrentColumn(keys: ColumnKeys, place: ColumnPlace, sealed: Uint8Array): Buffer {
  return openAccepted(keys, place, sealed, []);
}

function openAccepted(keys: ColumnKeys, place: ColumnPlace, sealed: Uint8Array, accepted: readonly number[]): Buffer {
  const epoch = sealedColumnEpoch(place, sealed);
  const current = keys.currentEpoch.epoch;
  // A later one is of keys that changed meanwhile, or of none.
  if (epoch < current && !accepted.includes(epoch)) throw outdated(place, epoch, current);
  return openColumn(keys, place, sealed);
}

function outdated({ table, column, key }: ColumnPlace, epoch: number, current: number): EnclaveManagerError {
  return new EnclaveManagerError(
    'forged',
    `The sealed value ${table}.${column} of ${key} is sealed under epoch ${epoch}, but the keys of the cluster are those of epoch ${current}: hosts that were evicted since could have made it.`,
    {
      hint: 'Find out who writes to the database. Restore a backup (restore run latest), or delete the row or set the value anew; then run the command again.',
    },
  );
}

/** Throws `rows-differ` for a value that was not there when its rows were looked at. */
export async function requireKnownColumns(queries: Queries, isKnown: KnowsSealed): Promise<void> {
  for (const place of sealedColumns.filter(({ table }) => table !== 'node_invites')) {
    for await (const { key, sealed } of sealedValues(queries, place)) {
      const at = { table: place.table, column: place.column, key };
      if (!isKnown(at, sealed)) throw unknownValue(at);
    }
  }
}

function unknownValue({ table, column, key }: ColumnPlace): EnclaveManagerError {
  return new EnclaveManagerError('rows-differ', `the sealed value ${table}.${column} of ${key} is not the backup's`, {
    hint: 'Find out who writes to the database; then drop and create it and replay the export again, or restore: restore run latest.',
  });
}

/** `undefined` for bytes that nothing here sealed. */
export function epochOrUndefined(place: ColumnPlace, sealed: Uint8Array): number | undefined {
  try {
    return sealedColumnEpoch(place, sealed);
  } catch (error) {
    if (isEnclaveManagerError(error, 'damaged')) return undefined;
    throw error;
  }
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
