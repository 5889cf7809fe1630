import { EnclaveManagerError, isEnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { keyringPrefix } from '#format/layout.ts';
import { openKeyring, type KeyringDocument, type OpenedKeyring } from '#keys/keyring.ts';
import { checkKeyringLimits, distinctDocuments, fitsKeyring, sha256Hex } from '#keys/keyring-entry.ts';
import { type KeyringPlace, parseKeyringPath } from '#keys/keyring-paths.ts';
import { documentLimits, parseDocument } from '#keys/signed-document.ts';
import { couldReplaceKeysOf } from '#keys/succession.ts';
import type { ObjectStore } from '#ports/object-store.ts';
import type { Sealing } from '#ports/sealing.ts';
import { carriedKeyrings, successorsInManifests } from './carried-keyring.ts';
import { damagedAsAbsent } from './damaged-as-absent.ts';
import { listBounded } from './list-bounded.ts';
import { readOwner } from './repository-owner.ts';

export interface Repository {
  readonly store: ObjectStore;
  readonly keyring: OpenedKeyring;
}

/**
 * Opens the keys of a repository with this host's hardware and nothing else. Where `keyring/` is damaged, or from before the keys
 * were changed, the copies that the newest manifests carry serve. `clusterKey`, named by a person, decides between two
 * successors of one key, and the marker between two clusters of this hardware.
 * Throws `no-key`, `sealing-unavailable`, `forged`, `repository-foreign`, `version-incompatible`.
 */
export async function openRepository(
  store: ObjectStore,
  sealing: Sealing,
  { clusterKey }: { readonly clusterKey?: string | undefined } = {},
): Promise<Repository> {
  const owner = await readOwner(store);
  const documents = await tryRead(store);
  const own = Array.isArray(documents) ? documents : [];
  const opening = { store, sealing, clusterKey, owner };
  const first = Array.isArray(documents) ? await tryOpen(own, sealing, opening) : { error: documents };
  const { best, copiesSeen } = await withCarried(first, own, opening);
  const newer = 'keyring' in best && opensEverything(best.keyring) ? undefined : newerFormat(own);
  if (newer !== undefined) throw newer;
  if ('keyring' in best) return { store, keyring: best.keyring };
  if (own.length === 0 && !copiesSeen && Array.isArray(documents)) throw nothingThere(store);
  throw best.error;
}

interface Opening {
  readonly store: ObjectStore;
  readonly sealing: Sealing;
  readonly clusterKey: string | undefined;
  /** By the marker. */
  readonly owner: string | undefined;
}

/** With the copies in manifests, where something is missing without them, or the keys of today are only there. */
async function withCarried(
  first: Attempt,
  own: readonly KeyringDocument[],
  opening: Opening,
): Promise<{ readonly best: Attempt; readonly copiesSeen: boolean }> {
  const { store, sealing, clusterKey } = opening;
  let best = isEnough(first, clusterKey) ? await followed(first, own, opening) : first;
  let copiesSeen = false;
  if (isEnough(best, clusterKey)) return { best, copiesSeen };
  for await (const copies of carriedKeyrings(store)) {
    copiesSeen = true;
    if ('keyring' in best && isWhole(best.keyring) && !couldLeadTo(best.keyring, copies)) continue;
    best = better(best, await tryOpen(withCopies(own, best, copies), sealing, opening), clusterKey);
    if (isEnough(best, clusterKey)) best = await followed(best, own, opening);
    if (isEnough(best, clusterKey)) break;
  }
  return { best, copiesSeen };
}

/**
 * As far as the manifests lead on; ends, because every step is to a higher generation. Throws `forged` where they lead on to two keys: the
 * owner of an old one made one of them.
 */
async function followed(opened: Attempt, own: readonly KeyringDocument[], opening: Opening): Promise<Attempt> {
  const { store, sealing, clusterKey } = opening;
  let best = opened;
  while ('keyring' in best) {
    const successors = await successorsInManifests(store, best.keyring);
    if (successors.length === 0) break;
    const { clusterId } = best.keyring;
    const attempt = await tryOpen(withCopies(own, best, successors), sealing, { clusterKey, clusterId });
    if ('error' in attempt && attempt.error.code === 'forged') throw attempt.error;
    if (!('keyring' in attempt) || !leadsOn(attempt.keyring, best.keyring)) break;
    best = attempt;
  }
  return best;
}

/** A named key is looked for in every manifest: whoever names it knows of more than `keyring/` shows. */
const isEnough = (attempt: Attempt, clusterKey: string | undefined): boolean =>
  'keyring' in attempt && isWhole(attempt.keyring) && hasNamed(attempt.keyring, clusterKey);

const hasNamed = ({ fingerprints }: OpenedKeyring, clusterKey: string | undefined): boolean =>
  clusterKey === undefined || fingerprints.has(clusterKey);

/** Opening is slow where the hardware is, so that it is not tried for copies that change nothing. */
const couldLeadTo = (keyring: OpenedKeyring, copies: readonly KeyringDocument[]): boolean =>
  copies.some((document) => couldReplaceKeysOf(keyring, document));

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

interface Opened {
  readonly keyring: OpenedKeyring;
}

type Attempt = Opened | { readonly error: EnclaveManagerError };

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

function better(best: Attempt, attempt: Attempt, clusterKey: string | undefined): Attempt {
  if (!('keyring' in best)) return attempt;
  return 'keyring' in attempt && isBetter(attempt.keyring, best.keyring, clusterKey) ? attempt : best;
}

function isBetter(keyring: OpenedKeyring, than: OpenedKeyring, clusterKey: string | undefined): boolean {
  if (hasNamed(keyring, clusterKey) !== hasNamed(than, clusterKey)) return hasNamed(keyring, clusterKey);
  if (leadsOn(keyring, than)) return true;
  return opensEverything(keyring) && (!opensEverything(than) || keyring.membership.number > than.membership.number);
}

const leadsOn = ({ keyGeneration, fingerprints }: OpenedKeyring, from: OpenedKeyring): boolean =>
  keyGeneration > from.keyGeneration && fingerprints.has(from.fingerprint);

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

/**
 * A path may come several times; which bytes are authentic is for the keyring to find out. Where not all of it fits, copies come
 * first, and what was opened before what else lies under `keyring/`.
 */
function withCopies(
  own: readonly KeyringDocument[],
  opened: Attempt,
  copies: readonly KeyringDocument[],
): readonly KeyringDocument[] {
  const authentic = 'keyring' in opened ? opened.keyring.documents : [];
  const choices = [
    [...copies, ...authentic, ...own],
    [...copies, ...authentic],
  ].map(distinctDocuments);
  return choices.find(fitsKeyring) ?? copies;
}
