import { createHash } from 'node:crypto';
import { copyFieldBytes, copyFieldText } from '#format/copy-fields.ts';
import type { Manifest, TableManifest } from '#format/manifest.ts';
import type { ColumnPlace } from '#keys/sealed-column.ts';
import type { OpenedKeyring } from '#keys/keyring.ts';
import { fetchChunk } from '#pipeline/fetch-chunk.ts';
import type { ObjectStore } from '#ports/object-store.ts';
import { sealedColumns, type KnowsSealed } from '#store/sealed-values.ts';
import type { OperationContext } from './context.ts';
import { storedChunks } from './read-manifest.ts';

/**
 * Which sealed values a backup holds: whoever can write rows while an import is finished cannot bring one of another epoch
 * among them. Keeps 32 bytes of each.
 */
export async function sealedInBackup(
  context: OperationContext,
  { store, keyring }: { readonly store: ObjectStore; readonly keyring: OpenedKeyring },
  manifest: Manifest,
): Promise<KnowsSealed> {
  const keys = manifest.summary.epochs.map((epoch) => keyring.epochKeys(epoch));
  const known = new Set<string>();
  for (const place of sealedColumns) {
    const table = manifest.tables.find(({ name }) => name === place.table);
    if (table === undefined) continue;
    for (const chunk of storedChunks(manifest, table)) {
      context.signal.throwIfAborted();
      const { rows } = await fetchChunk(store, keys, chunk);
      for (const [key, sealed] of valuesIn(rows, table, place)) known.add(digestOf({ ...place, key }, sealed));
    }
  }
  return (place, sealed) => known.has(digestOf(place, sealed));
}

/** Of the rows of one chunk, in COPY text. */
function* valuesIn(
  rows: Buffer,
  { columns }: TableManifest,
  { column, key }: (typeof sealedColumns)[number],
): Generator<[string, Buffer]> {
  const [sealedAt, keyAt] = [column, key].map((wanted) => columns.findIndex(({ name }) => name === wanted));
  for (let begin = 0; begin < rows.length;) {
    const end = rows.indexOf(0x0a, begin);
    const fields = rows.toString('utf8', begin, end < 0 ? rows.length : end).split('\t');
    begin = end < 0 ? rows.length : end + 1;
    const sealed = copyFieldBytes(fields[sealedAt!] ?? '\\N');
    if (sealed !== undefined) yield [copyFieldText(fields[keyAt!] ?? ''), sealed];
  }
}

function digestOf({ table, column, key }: ColumnPlace, sealed: Uint8Array): string {
  const place = JSON.stringify([table, column, key]);
  return createHash('sha256').update(place).update(sealed).digest('base64');
}
