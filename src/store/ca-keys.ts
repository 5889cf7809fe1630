import { sealColumn } from '#keys/sealed-column.ts';
import type { Randomness } from '#ports/randomness.ts';
import { openCurrentColumn, requireNewestEpoch, type ColumnKeys } from './sealed-values.ts';
import { tablesOf, type Queries } from './tables.ts';

/** A certificate authority for the applications of one zone. */
export interface CaKey {
  /** UUIDv7. */
  readonly caKeyId: string;
  readonly zone: string;
  readonly algorithm: string;
  /** X.509, DER. */
  readonly certificate: Buffer;
  /** PKCS #8, DER. Secret: stored sealed. */
  readonly privateKey: Buffer;
  readonly createdAt: Date;
}

const place = (caKeyId: string) => ({ table: 'ca_keys', column: 'sealed_private_key', key: caKeyId });

export async function saveCaKey(
  queries: Queries,
  keys: ColumnKeys,
  caKey: CaKey,
  ports: { readonly randomness: Randomness },
): Promise<void> {
  await requireNewestEpoch(queries, keys);
  await tablesOf(queries)
    .insertInto('ca_keys')
    .values({
      ca_key_id: caKey.caKeyId,
      zone: caKey.zone,
      algorithm: caKey.algorithm,
      certificate: caKey.certificate,
      sealed_private_key: sealColumn(keys.currentEpoch, place(caKey.caKeyId), caKey.privateKey, ports.randomness),
      created_at: caKey.createdAt,
    })
    .execute();
}

/** With the private key opened; `undefined` where there is none. Throws `forged`, `damaged` and `no-key` as `openCurrentColumn` does. */
export async function readCaKey(queries: Queries, keys: ColumnKeys, caKeyId: string): Promise<CaKey | undefined> {
  const row = await tablesOf(queries)
    .selectFrom('ca_keys')
    .selectAll()
    .where('ca_key_id', '=', caKeyId)
    .executeTakeFirst();
  if (row === undefined) return undefined;
  return {
    caKeyId,
    zone: row.zone,
    algorithm: row.algorithm,
    certificate: row.certificate,
    privateKey: openCurrentColumn(keys, place(caKeyId), row.sealed_private_key),
    createdAt: row.created_at,
  };
}
