import { EnclaveManagerError, isEnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { keyringPrefix } from '#format/layout.ts';
import { openKeyring, type KeyringDocument, type OpenedKeyring } from '#keys/keyring.ts';
import { checkKeyringLimits, distinctDocuments, fitsKeyring, sha256Hex } from '#keys/keyring-entry.ts';
import { type KeyringPlace, parseKeyringPath } from '#keys/keyring-paths.ts';
import { documentLimits, parseDocument } from '#keys/signed-document.ts';
import type { ObjectStore } from '#ports/object-store.ts';
import type { Sealing } from '#ports/sealing.ts';
import { carriedKeyrings } from './carried-keyring.ts';
import { damagedAsAbsent } from './damaged-as-absent.ts';
import { listBounded } from './list-bounded.ts';
import { readOwner } from './repository-owner.ts';

export interface Repository {
  readonly store: ObjectStore;
  readonly keyring: OpenedKeyring;
}

/**
 * Opens the keys of a repository with this host's hardware and nothing else. Where `keyring/` is damaged, the copies
 * that the newest manifests carry serve. `clusterKey`, named by a person, decides between two successors of one key, and the
 * marker between two clusters of this hardware.
 * Throws `no-key`, `sealing-unavailable`, `forged`, `repository-foreign`, `version-incompatible`.
 */
export async function openRepository(
  store: ObjectStore,
  sealing: Sealing,
  { clusterKey }: { readonly clusterKey?: string | undefined } = {},
): Promise<Repository> {
  const owner = await readOwner(store);
  const documents = await tryRead(store);
  let best: Attempt = Array.isArray(documents)
    ? await tryOpen(documents, sealing, { clusterKey, owner })
    : { error: documents };
  const own = Array.isArray(documents) ? documents : [];
  let copiesSeen = false;
  for await (const copies of carriedKeyrings(store)) {
    if ('keyring' in best && isWhole(best.keyring)) break;
    copiesSeen = true;
    const attempt = await tryOpen(withCopies(own, copies), sealing, { clusterKey, owner });
    if (!('keyring' in best) || ('keyring' in attempt && isBetter(attempt.keyring, best.keyring))) best = attempt;
  }
  const newer = 'keyring' in best && opensEverything(best.keyring) ? undefined : newerFormat(own);
  if (newer !== undefined) throw newer;
  if ('keyring' in best) return { store, keyring: best.keyring };
  if (own.length === 0 && !copiesSeen && Array.isArray(documents)) throw nothingThere(store);
  throw best.error;
}

/**
 * The same repository, opened again where something was added or replaced under `keyring/` since: opening is slow where the hardware is,
 * and hosts may have been enrolled or evicted while a person thought about a question.
 */
export async function newestKeyring(
  repository: Repository,
  sealing: Sealing,
  named: { readonly clusterKey?: string | undefined } = {},
): Promise<Repository> {
  const { store, keyring } = repository;
  const known = new Set([...keyring.documents, ...keyring.rejected].map(({ path }) => path));
  for await (const { key } of listBounded(store, keyringPrefix)) {
    const place = parseKeyringPath(key);
    if (place === undefined) continue;
    if (!known.has(key) || (await isReplaced(repository, key, place.type))) {
      return await openRepository(store, sealing, named);
    }
  }
  return repository;
}

/** Who belongs to the cluster may be said by other bytes now, in a place where something else lay before. */
async function isReplaced({ store, keyring }: Repository, path: string, type: KeyringPlace['type']): Promise<boolean> {
  if (type !== 'epoch' && type !== 'members') return false;
  const bytes = await readUndamaged(store, path, documentLimits[type]);
  return bytes !== undefined && !keyring.seen.has(sha256Hex(bytes));
}

/** What cannot be read because a newer version wrote it is not damaged. */
function newerFormat(documents: readonly KeyringDocument[]): EnclaveManagerError | undefined {
  for (const { path, bytes } of documents) {
    const place = parseKeyringPath(path);
    try {
      if (place !== undefined) parseDocument(bytes, place.type);
    } catch (error) {
      if (isEnclaveManagerError(error, 'version-incompatible')) return error;
      if (!isEnclaveManagerError(error)) throw error;
    }
  }
  return undefined;
}

/** Too much under `keyring/` is as good as nothing: the manifests have copies. */
async function tryRead(store: ObjectStore): Promise<KeyringDocument[] | EnclaveManagerError> {
  try {
    return await readKeyringDocuments(store);
  } catch (error) {
    if (isEnclaveManagerError(error, 'damaged')) return error;
    throw error;
  }
}

function nothingThere(store: ObjectStore): EnclaveManagerError {
  return new EnclaveManagerError('not-found', `there is no backup in ${store.location}, and no keys`, {
    hint: 'Check ENCLAVE_MANAGER_REPOSITORY, and that the disk with the backups is mounted.',
  });
}

type Attempt = { readonly keyring: OpenedKeyring } | { readonly error: EnclaveManagerError };

async function tryOpen(
  documents: readonly KeyringDocument[],
  sealing: Sealing,
  named: { readonly clusterKey: string | undefined; readonly owner?: string | undefined; readonly clusterId?: string },
): Promise<Attempt> {
  const { clusterKey, owner, clusterId } = named;
  try {
    return { keyring: await openKeyring(documents, sealing, { clusterId }) };
  } catch (error) {
    // Whoever could change the marker could take the documents of the cluster away as well.
    if (owner !== undefined && isEnclaveManagerError(error, 'repository-foreign'))
      return await tryOpen(documents, sealing, { clusterKey, clusterId: owner });
    // What the named key is not needed for, it does not change: whoever compares it says more than this would.
    if (clusterKey !== undefined && isEnclaveManagerError(error, 'forged')) {
      const chosen = await openKeyring(documents, sealing, { clusterKey, clusterId }).catch(() => undefined);
      if (chosen !== undefined) return { keyring: chosen };
    }
    if (isEnclaveManagerError(error, 'no-key', 'damaged', 'forged')) return { error };
    throw error;
  }
}

/**
 * A member has the credential that the membership names, and a slot of every epoch: where one is missing, a manifest may still
 * have its copy. A host that was evicted looks for it in vain.
 */
function opensEverything({ epochs, epochsOpenableBy, nodeId, isMember }: OpenedKeyring): boolean {
  return isMember && epochs.every((epoch) => epochsOpenableBy(nodeId).has(epoch));
}

/** Nor is any membership known to be missing. One that does not name the newest epoch is of a change of keys that was interrupted, or not the newest. */
export function isWhole(keyring: OpenedKeyring): boolean {
  const { membership, newestEpoch, missesMemberships } = keyring;
  return opensEverything(keyring) && !missesMemberships && membership.currentEpoch === newestEpoch;
}

const isBetter = (keyring: OpenedKeyring, than: OpenedKeyring): boolean =>
  opensEverything(keyring) && (!opensEverything(than) || keyring.membership.number > than.membership.number);

/** Everything under `keyring/` that could be a document of it, unverified. Throws `damaged` for more than a keyring can have. */
export async function readKeyringDocuments(store: ObjectStore): Promise<KeyringDocument[]> {
  const documents: KeyringDocument[] = [];
  let totalBytes = 0;
  for await (const { key } of listBounded(store, keyringPrefix)) {
    const place = parseKeyringPath(key);
    const bytes = place && (await readUndamaged(store, key, documentLimits[place.type]));
    if (bytes === undefined) continue;
    totalBytes += bytes.length;
    checkKeyringLimits(documents.length + 1, totalBytes);
    documents.push({ path: key, bytes });
  }
  return documents;
}

/** `undefined` also for what is no regular object, or larger than it may be. */
async function readUndamaged(store: ObjectStore, key: string, maxBytes: number): Promise<Buffer | undefined> {
  return await store.get(key, { maxBytes }).catch(damagedAsAbsent);
}

/** A path may come several times; which bytes are authentic is for the keyring to find out. Copies come first where both do not fit. */
function withCopies(documents: readonly KeyringDocument[], copies: readonly KeyringDocument[]): KeyringDocument[] {
  const all = distinctDocuments([...copies, ...documents]);
  return fitsKeyring(all) ? all : [...copies];
}
