import { EnclaveManagerError, isEnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { backupsPrefix, keyringPrefix, markerPath } from '#format/layout.ts';
import { readManifestSummary } from '#format/manifest.ts';
import { readMarker } from '#format/marker.ts';
import { openKeyring, type KeyringDocument, type OpenedKeyring } from '#keys/keyring.ts';
import { documentLimits } from '#keys/signed-document.ts';
import type { ObjectStore } from '#ports/object-store.ts';
import type { Sealing } from '#ports/sealing.ts';

/** Manifests whose own copy of the keyring is tried when `keyring/` is damaged. */
const maxManifestsTried = 16;

export interface Repository {
  readonly store: ObjectStore;
  readonly keyring: OpenedKeyring;
}

/**
 * Opens the keys of a repository with this host's hardware and nothing else. Where `keyring/` is damaged, the copies
 * that the newest manifests carry serve. Throws `no-key`, `sealing-unavailable`, `forged`.
 */
export async function openRepository(store: ObjectStore, sealing: Sealing): Promise<Repository> {
  await refuseNewerFormat(store);
  const documents = await readKeyringDocuments(store);
  const opened = await tryOpen(documents, sealing);
  if ('keyring' in opened && opensEveryEpoch(opened.keyring)) return { store, ...opened };
  const copies = await readCopies(store);
  if (documents.length === 0 && copies.length === 0) throw nothingThere(store);
  const withThem = copies.length === 0 ? opened : await tryOpen(withCopies(documents, copies), sealing);
  const best = 'keyring' in withThem ? withThem : opened;
  if ('keyring' in best) return { store, ...best };
  throw best.error;
}

/** A repository of a newer format is left alone, whatever else can be read in it. A lost or damaged marker says nothing. */
async function refuseNewerFormat(store: ObjectStore): Promise<void> {
  const bytes = await store.get(markerPath, { maxBytes: documentLimits.marker }).catch(damagedAsAbsent);
  if (bytes === undefined) return;
  try {
    readMarker(bytes);
  } catch (error) {
    if (isEnclaveManagerError(error, 'version-incompatible')) throw error;
    damagedAsAbsent(error);
  }
}

function damagedAsAbsent(error: unknown): undefined {
  if (isEnclaveManagerError(error, 'damaged')) return undefined;
  throw error;
}

function nothingThere(store: ObjectStore): EnclaveManagerError {
  return new EnclaveManagerError('not-found', `there is no backup in ${store.location}, and no keys`, {
    hint: 'Check ENCLAVE_MANAGER_REPOSITORY, and that the disk with the backups is mounted.',
  });
}

type Attempt = { readonly keyring: OpenedKeyring } | { readonly error: EnclaveManagerError };

async function tryOpen(documents: readonly KeyringDocument[], sealing: Sealing): Promise<Attempt> {
  try {
    return { keyring: await openKeyring(documents, sealing) };
  } catch (error) {
    if (isEnclaveManagerError(error) && ['no-key', 'damaged', 'forged'].includes(error.code)) return { error };
    throw error;
  }
}

/** A member has a slot of every epoch: where one is missing, a manifest may still have its copy. */
function opensEveryEpoch({ epochs, epochsOpenableBy, nodeId }: OpenedKeyring): boolean {
  return epochs.every((epoch) => epochsOpenableBy(nodeId).has(epoch));
}

/** Everything under `keyring/`, unverified. */
export async function readKeyringDocuments(store: ObjectStore): Promise<KeyringDocument[]> {
  const documents: KeyringDocument[] = [];
  for await (const { key, sizeBytes } of store.list(keyringPrefix)) {
    if (sizeBytes > documentLimits.epoch) continue;
    const bytes = await store.get(key, { maxBytes: documentLimits.epoch });
    if (bytes !== undefined) documents.push({ path: key, bytes });
  }
  return documents;
}

async function readCopies(store: ObjectStore): Promise<KeyringDocument[]> {
  const keys: string[] = [];
  for await (const { key } of store.list(backupsPrefix)) keys.push(key);
  const copies: KeyringDocument[] = [];
  for (const key of keys.toReversed().slice(0, maxManifestsTried)) {
    const bytes = await store.get(key, { maxBytes: documentLimits.manifest });
    if (bytes === undefined) continue;
    try {
      copies.push(...readManifestSummary(bytes).keyring);
    } catch (error) {
      if (!isEnclaveManagerError(error)) throw error;
    }
  }
  return copies;
}

/** A path may come several times; which bytes are authentic is for the keyring to find out. */
function withCopies(documents: readonly KeyringDocument[], copies: readonly KeyringDocument[]): KeyringDocument[] {
  const all = new Map(
    [...documents, ...copies].map((document) => [`${document.path}\0${document.bytes.toString('base64')}`, document]),
  );
  return [...all.values()];
}
