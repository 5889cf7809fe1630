import type { JsonValue } from '#model/json.ts';
import { sealColumn } from '#keys/sealed-column.ts';
import type { Clock } from '#ports/clock.ts';
import type { Randomness } from '#ports/randomness.ts';
import { storableJson } from './canonical-json.ts';
import { openCurrentColumn, requireNewestEpoch, type ColumnKeys } from './sealed-values.ts';
import { tablesOf, type Queries } from './tables.ts';

/** A named value that every manager of the cluster shares, with a secret part where it needs one. */
export interface Setting {
  readonly name: string;
  readonly value: JsonValue;
  /** Stored sealed. */
  readonly secret: Buffer | null;
}

const place = (name: string) => ({ table: 'settings', column: 'sealed_secret', key: name });

/** Writes it, in place of the one of that name. */
export async function saveSetting(
  queries: Queries,
  keys: ColumnKeys,
  setting: Setting,
  ports: { readonly clock: Clock; readonly randomness: Randomness },
): Promise<void> {
  await requireNewestEpoch(queries, keys);
  const { name, secret } = setting;
  const row = {
    value: JSON.stringify(storableJson(setting.value)),
    sealed_secret: secret === null ? null : sealColumn(keys.currentEpoch, place(name), secret, ports.randomness),
    updated_at: ports.clock.now(),
  };
  await tablesOf(queries)
    .insertInto('settings')
    .values({ name, ...row })
    .onConflict((conflict) => conflict.column('name').doUpdateSet(row))
    .execute();
}

/** `undefined` where there is none. Throws `forged`, `damaged` and `no-key` as `openCurrentColumn` does. */
export async function readSetting(queries: Queries, keys: ColumnKeys, name: string): Promise<Setting | undefined> {
  const row = await tablesOf(queries).selectFrom('settings').selectAll().where('name', '=', name).executeTakeFirst();
  if (row === undefined) return undefined;
  const secret = row.sealed_secret === null ? null : openCurrentColumn(keys, place(name), row.sealed_secret);
  return { name, value: row.value, secret };
}
