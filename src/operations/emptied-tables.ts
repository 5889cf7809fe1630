import type { TableManifest } from '#format/manifest.ts';
import type { OpenedKeyring } from '#keys/keyring.ts';
import type { ObjectStore } from '#ports/object-store.ts';
import type { Catalog } from './read-catalog.ts';
import { readManifest } from './read-manifest.ts';

/** A table that had rows in the newest backup and has none now is worth a sentence: somebody may have emptied it by mistake. */
export async function emptiedTables(
  store: ObjectStore,
  keyring: OpenedKeyring,
  catalog: Catalog,
  tables: readonly TableManifest[],
): Promise<string[]> {
  const [newest] = catalog.backups;
  if (newest === undefined) return [];
  const before = await readManifest(store, keyring, newest.entry.id);
  const emptied = tables.filter(
    ({ name, rows }) => rows === 0 && before.tables.some((table) => table.name === name && table.rows > 0),
  );
  return emptied.map(({ name }) => {
    const rowsBefore = before.tables.find((table) => table.name === name)?.rows;
    return `table "${name}" is empty now and had ${rowsBefore} rows in backup ${newest.entry.id}`;
  });
}
