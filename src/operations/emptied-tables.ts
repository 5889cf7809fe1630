import type { TableManifest } from '#format/manifest.ts';
import type { OpenedKeyring } from '#keys/keyring.ts';
import type { ObjectStore } from '#ports/object-store.ts';
import type { Catalog, CatalogBackup } from './read-catalog.ts';
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
    return `table "${name}" ${isEmptyNow} ${rowsBefore} rows in backup ${newest.entry.id}`;
  });
}

const isEmptyNow = 'is empty now and had';

const isEmptiedWarning = (warning: string): boolean => warning.includes(` ${isEmptyNow} `);

/**
 * Tables that have no rows in the newest backup that stays, and whose rows would be in no backup any more once the
 * others are removed; and those that had rows in the backup right before it: what emptied them may have been a mistake.
 */
export async function lostRows(
  store: ObjectStore,
  keyring: OpenedKeyring,
  kept: readonly CatalogBackup[],
  removed: readonly CatalogBackup[],
): Promise<string[]> {
  const ordinary = kept.filter(({ entry }) => entry.kind !== 'safety');
  const [newest] = ordinary;
  if (newest === undefined || removed.length === 0) return [];
  const rowsOf = async ({ entry }: CatalogBackup) =>
    new Map((await readManifest(store, keyring, entry.id)).tables.map(({ name, rows }) => [name, rows]));
  const empty = new Set([...(await rowsOf(newest))].filter(([, rows]) => rows === 0).map(([name]) => name));
  const warned = (await readManifest(store, keyring, newest.entry.id)).warnings.filter(isEmptiedWarning);
  for (const backup of kept) {
    if (empty.size === 0) break;
    for (const [name, rows] of await rowsOf(backup)) if (rows > 0) empty.delete(name);
  }
  const lost: string[] = [];
  for (const backup of removed) {
    if (empty.size === 0) break;
    for (const [name, rows] of await rowsOf(backup)) {
      if (rows === 0 || !empty.delete(name)) continue;
      lost.push(
        `table "${name}" is empty in every backup that stays and has ${rows} rows in backup ${backup.entry.id}`,
      );
    }
  }
  return [...warned, ...lost];
}
