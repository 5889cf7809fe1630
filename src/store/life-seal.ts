import { createHash } from 'node:crypto';
import { sql } from 'kysely';
import { isEnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { openColumn, sealColumn, sealedColumnEpoch, type ColumnPlace } from '#keys/sealed-column.ts';
import type { Incarnation } from '#model/backup.ts';
import type { Database } from '#ports/database.ts';
import type { Randomness } from '#ports/randomness.ts';
import { readCluster } from './cluster.ts';
import type { ColumnKeys } from './sealed-values.ts';
import { tablesOf, type Queries } from './tables.ts';

const table = 'life_seals';
const maxSealBytes = 256;

type PlacedDatabase = Pick<Database, 'place'>;

/** Not a secret: that it opens says where, in which life, and with keys of which epoch it was written. */
async function placeOf(database: PlacedDatabase, queries: Queries, incarnation: Incarnation): Promise<ColumnPlace> {
  const { number, random } = incarnation;
  return { table, column: 'seal', key: `${await database.place(queries, table)} ${number} ${random}` };
}

/**
 * Says that the rows of this database became the cluster's in it: in the transaction that begins a life, and again where the
 * keys change. Whoever replays them elsewhere cannot say so for there, nor bring this seal along.
 */
export async function sealLife(
  database: PlacedDatabase,
  queries: Queries,
  keys: Pick<ColumnKeys, 'currentEpoch'>,
  incarnation: Incarnation,
  randomness: Randomness,
): Promise<void> {
  const place = await placeOf(database, queries, incarnation);
  const seal = sealColumn(keys.currentEpoch, place, Buffer.alloc(0), randomness);
  await tablesOf(queries).deleteFrom(table).execute();
  await tablesOf(queries).insertInto(table).values({ singleton: true, seal }).execute();
}

/**
 * Whether the life that the rows name began here, sealed under the current epoch or one of those named: hosts that were evicted
 * since know the keys of others. One transaction, so that nobody swaps databases in between.
 */
export async function isLifeSealed(
  database: PlacedDatabase,
  queries: Queries,
  keys: ColumnKeys,
  epochs: readonly number[] = [],
): Promise<boolean> {
  const [seal, cluster] = [await readSeal(queries), await readCluster(queries)];
  if (seal === undefined || cluster === undefined) return false;
  const place = await placeOf(database, queries, cluster.incarnation);
  try {
    const epoch = sealedColumnEpoch(place, seal);
    if (epoch !== keys.currentEpoch.epoch && !epochs.includes(epoch)) return false;
    openColumn(keys, place, seal);
    return true;
  } catch (error) {
    if (isEnclaveManagerError(error, 'damaged') || isEnclaveManagerError(error, 'no-key')) return false;
    throw error;
  }
}

/** Another text whenever the seal has to be looked at again. */
export async function readLifeMark(database: Database): Promise<string> {
  const seal = await readSeal(database.queries);
  const incarnation = (await readCluster(database.queries))?.incarnation;
  if (seal === undefined || incarnation === undefined) return 'none';
  const { key } = await placeOf(database, database.queries, incarnation);
  return `${key} ${createHash('sha256').update(seal).digest('hex')}`;
}

/** Whoever made the table, if there is one, may have left out what bounds it, or given it another shape. */
async function readSeal(queries: Queries): Promise<Buffer | undefined> {
  const { rows } = await sql<{ data_type: string }>`
    SELECT data_type FROM information_schema.columns
    WHERE table_schema = current_schema() AND table_name = ${sql.lit(table)} AND column_name = 'seal'`.execute(queries);
  if (rows[0]?.data_type !== 'bytea') return undefined;
  const row = await tablesOf(queries)
    .selectFrom(table)
    .select('seal')
    .where(sql<boolean>`octet_length(seal) <= ${sql.lit(maxSealBytes)}`)
    .limit(1)
    .executeTakeFirst();
  return row?.seal;
}
