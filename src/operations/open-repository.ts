import { EnclaveManagerError, isEnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { backupsPrefix, keyringPrefix, markerPath } from '#format/layout.ts';
import { readManifestSummary } from '#format/manifest.ts';
import { readMarker } from '#format/marker.ts';
import { openKeyring, type KeyringDocument, type OpenedKeyring } from '#keys/keyring.ts';
import { checkKeyringLimits } from '#keys/keyring-entry.ts';
import { parseKeyringPath } from '#keys/keyring-paths.ts';
import { documentLimits, parseDocument } from '#keys/signed-document.ts';
import type { ObjectStore } from '#ports/object-store.ts';
import type { Sealing } from '#ports/sealing.ts';
import { listBounded } from './list-bounded.ts';

/** Manifests whose own copies of the keyring are tried together where `keyring/` is damaged. */
const manifestsPerAttempt = 16;
/** How many are looked at before giving up: junk that sorts before them hides no genuine one. */
const maxManifestsTried = 1024;

export interface Repository {
  readonly store: ObjectStore;
  readonly keyring: OpenedKeyring;
}

/**
 * Opens the keys of a repository with this host's hardware and nothing else. Where `keyring/` is damaged, the copies
 * that the newest manifests carry serve. `clusterKey`, named by a person, decides between two successors of one key.
 * Throws `no-key`, `sealing-unavailable`, `forged`.
 */
export async function openRepository(
  store: ObjectStore,
  sealing: Sealing,
  { clusterKey }: { readonly clusterKey?: string | undefined } = {},
): Promise<Repository> {
  await refuseNewerFormat(store);
  const documents = await tryRead(store);
  let best: Attempt = Array.isArray(documents) ? await tryOpen(documents, sealing, clusterKey) : { error: documents };
  const own = Array.isArray(documents) ? documents : [];
  let copiesSeen = false;
  for await (const copies of copiesInManifests(store)) {
    if ('keyring' in best && isWhole(best.keyring)) break;
    copiesSeen = true;
    const attempt = await tryOpen(withCopies(own, copies), sealing, clusterKey);
    if (!('keyring' in best) || ('keyring' in attempt && isWhole(attempt.keyring))) best = attempt;
  }
  const newer = 'keyring' in best && isWhole(best.keyring) ? undefined : newerFormat(own);
  if (newer !== undefined) throw newer;
  if ('keyring' in best) return { store, keyring: best.keyring };
  if (own.length === 0 && !copiesSeen && Array.isArray(documents)) throw nothingThere(store);
  throw best.error;
}

/**
 * The same repository, opened again where something was added under `keyring/` since: opening is slow where the hardware is,
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
    if (parseKeyringPath(key) !== undefined && !known.has(key)) return await openRepository(store, sealing, named);
  }
  return repository;
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

async function tryOpen(
  documents: readonly KeyringDocument[],
  sealing: Sealing,
  clusterKey: string | undefined,
): Promise<Attempt> {
  try {
    return { keyring: await openKeyring(documents, sealing) };
  } catch (error) {
    // What the named key is not needed for, it does not change: whoever compares it says more than this would.
    if (clusterKey !== undefined && isEnclaveManagerError(error, 'forged')) {
      const chosen = await openKeyring(documents, sealing, { clusterKey }).catch(() => undefined);
      if (chosen !== undefined) return { keyring: chosen };
    }
    if (isEnclaveManagerError(error) && ['no-key', 'damaged', 'forged'].includes(error.code)) return { error };
    throw error;
  }
}

/**
 * A member has the credential that the membership names, and a slot of every epoch: where one is missing, a manifest may still
 * have its copy. A host that was evicted looks for it in vain.
 */
function isWhole({ epochs, epochsOpenableBy, nodeId, isMember }: OpenedKeyring): boolean {
  return isMember && epochs.every((epoch) => epochsOpenableBy(nodeId).has(epoch));
}

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

/** What the manifests carry, newest names first, a few manifests at a time. */
async function* copiesInManifests(store: ObjectStore): AsyncGenerator<KeyringDocument[]> {
  const keys: string[] = [];
  for await (const { key } of listBounded(store, backupsPrefix)) keys.push(key);
  let copies: KeyringDocument[] = [];
  let manifests = 0;
  for (const key of keys.toReversed().slice(0, maxManifestsTried)) {
    const more = copiesIn(await readUndamaged(store, key, documentLimits.manifest));
    if (more.length === 0) continue;
    copies.push(...more);
    manifests += 1;
    if (manifests % manifestsPerAttempt !== 0) continue;
    yield copies;
    copies = [];
  }
  if (copies.length > 0) yield copies;
}

function copiesIn(bytes: Buffer | undefined): readonly KeyringDocument[] {
  if (bytes === undefined) return [];
  try {
    return readManifestSummary(bytes).keyring;
  } catch (error) {
    if (isEnclaveManagerError(error)) return [];
    throw error;
  }
}

/** A path may come several times; which bytes are authentic is for the keyring to find out. */
function withCopies(documents: readonly KeyringDocument[], copies: readonly KeyringDocument[]): KeyringDocument[] {
  const all = new Map(
    [...documents, ...copies].map((document) => [`${document.path}\0${document.bytes.toString('base64')}`, document]),
  );
  return [...all.values()];
}
