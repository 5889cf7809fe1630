import type { OpenedKeyring } from '#keys/keyring.ts';
import type { ObjectStore } from '#ports/object-store.ts';
import { refuseLaterKeys } from './later-keys.ts';
import { readCatalog, type Catalog } from './read-catalog.ts';
import { refuseNewerIn, refuseUnreadable } from './refuse-newer.ts';

/**
 * The catalogue for who writes something that depends on all of it. Throws `configuration`, `version-incompatible` and `forged`
 * where a document that counts cannot be read, is of a newer version, or leads to newer keys.
 */
export async function readCompleteCatalog(store: ObjectStore, keyring: OpenedKeyring, now: Date): Promise<Catalog> {
  const catalog = await readCatalog(store, keyring, now);
  refuseUnreadable(catalog);
  await refuseNewerIn(store, keyring, catalog);
  await refuseLaterKeys(store, keyring, catalog);
  return catalog;
}
