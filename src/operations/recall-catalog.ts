import { isEnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { manifestPath } from '#format/layout.ts';
import type { OpenedKeyring } from '#keys/keyring.ts';
import type { BackupId } from '#model/identifiers.ts';
import type { CatalogCache } from '#ports/catalog-cache.ts';
import type { ObjectStore } from '#ports/object-store.ts';
import { decodeCatalogCache, encodeCatalogCache, type CacheOwner } from './catalog-cache-file.ts';
import { catalogOf, findBackup, readCatalog, type Catalog, type CatalogBackup } from './read-catalog.ts';
import { readManifest } from './read-manifest.ts';
import { withRememberedFailures } from './remembered-failures.ts';
import { readRecord, type RememberedRecord, type RepositoryRecord } from './read-record.ts';

export interface RecalledCatalog extends Catalog {
  /** Paths of what the store lists as it did when this host read it, and that was not read again. */
  readonly recalled: ReadonlySet<string>;
}

/**
 * The catalogue to look at: everything is listed anew, and what the store lists unchanged is not read again. A document that
 * was damaged behind the store's back is seen only by whoever reads it, so nothing is restored, deleted or proved by this.
 */
export async function recallCatalog(
  store: ObjectStore,
  keyring: OpenedKeyring | undefined,
  cache: CatalogCache | undefined,
  now?: Date,
): Promise<RecalledCatalog> {
  const key = keyring?.catalogCacheKey();
  if (key === undefined || cache === undefined)
    return Object.assign(await readCatalog(store, keyring, now), { recalled: new Set<string>() });
  const owner = { key, location: store.location };
  const remembered = await readCache(owner, cache);
  const record = await readRecord(store, keyring, remembered);
  if (remembered === undefined || !isWhole(remembered, record)) await keep(owner, cache, record);
  const whole = await withRememberedFailures(store, keyring, record, now);
  return Object.assign(catalogOf(keyring, whole, now), { recalled: record.recalled });
}

/**
 * One backup and what stands around it. Its own manifest is always read: where it is not what is remembered, the whole
 * repository is read as if nothing were.
 */
export async function recallBackup(
  store: ObjectStore,
  keyring: OpenedKeyring | undefined,
  cache: CatalogCache | undefined,
  idOrLatest: BackupId | 'latest',
  now?: Date,
): Promise<{ readonly catalog: Catalog; readonly backup: CatalogBackup }> {
  const recalled = await recallCatalog(store, keyring, cache, now);
  const backup = findBackup(recalled, idOrLatest);
  const wasRead = !recalled.recalled.has(manifestPath(backup.entry.id));
  if (wasRead || keyring === undefined || (await isAuthentic(store, keyring, backup.entry.id))) {
    return { catalog: recalled, backup };
  }
  const catalog = await readCatalog(store, keyring, now);
  return { catalog, backup: findBackup(catalog, idOrLatest) };
}

async function isAuthentic(store: ObjectStore, keyring: OpenedKeyring, id: BackupId): Promise<boolean> {
  try {
    await readManifest(store, keyring, id);
    return true;
  } catch (error) {
    // A host without the key of its epoch has checked the signature before it noticed.
    if (isEnclaveManagerError(error, 'no-key')) return true;
    if (isEnclaveManagerError(error)) return false;
    throw error;
  }
}

async function readCache(owner: CacheOwner, cache: CatalogCache): Promise<RememberedRecord | undefined> {
  const bytes = await cache.read();
  return bytes && decodeCatalogCache(owner, bytes);
}

/** Whether everything that is there, and nothing else, is remembered. */
function isWhole(remembered: RememberedRecord, record: RepositoryRecord): boolean {
  const { length: manifests } = record.manifests;
  const { length: verifications } = record.verifications;
  return (
    record.recalled.size === manifests + verifications &&
    remembered.manifests.length === manifests &&
    remembered.verifications.length === verifications
  );
}

async function keep(owner: CacheOwner, cache: CatalogCache, record: RepositoryRecord): Promise<void> {
  const bytes = encodeCatalogCache(owner, record);
  if (bytes !== undefined) await cache.replace(bytes);
}
