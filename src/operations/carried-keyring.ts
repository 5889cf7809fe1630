import { isEnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { backupsPrefix, parseManifestPath } from '#format/layout.ts';
import { readManifestSummary } from '#format/manifest.ts';
import { identityOf, type KeyringDocument } from '#keys/keyring-entry.ts';
import { parseKeyringPath } from '#keys/keyring-paths.ts';
import type { OpenedKeyring } from '#keys/opened-keyring.ts';
import { documentLimits } from '#keys/signed-document.ts';
import { replacesKeysOf } from '#keys/succession.ts';
import type { ObjectStore, StoredObject } from '#ports/object-store.ts';
import { damagedAsAbsent } from './damaged-as-absent.ts';
import { listBounded } from './list-bounded.ts';
import { readDocument } from './read-documents.ts';

const MiB = 1024 * 1024;

/** How many manifests are looked at before giving up: junk that sorts before them hides no genuine one. */
const maxManifestsTried = 1024;
/** Larger ones are looked at when no other helped: a manifest of this size has hundreds of thousands of chunks. */
const ordinaryManifestBytes = 16 * MiB;

/** What is held at once of the documents that manifests carry, unless one manifest alone has more. */
export interface CarriedLimits {
  readonly manifests: number;
  readonly documents: number;
  readonly bytes: number;
}

const usualLimits: CarriedLimits = { manifests: 16, documents: 20_000, bytes: 64 * MiB };

/**
 * The copies of keyring documents in the manifests, unverified, of a few manifests at a time: ordinary ones first, newest
 * names first. One manifest is read after the other, and what does not fit with those before it comes by itself, so that
 * neither many nor large ones fill the memory, and none keeps another's copies from being tried.
 */
export async function* carriedKeyrings(
  store: ObjectStore,
  limits: CarriedLimits = usualLimits,
): AsyncGenerator<KeyringDocument[]> {
  let group = new Map<string, KeyringDocument>();
  let [groupBytes, manifests] = [0, 0];
  function* close(): Generator<KeyringDocument[]> {
    if (group.size > 0) yield [...group.values()];
    group = new Map();
    [groupBytes, manifests] = [0, 0];
  }
  for (const object of await manifestsToTry(store)) {
    if (groupBytes + object.sizeBytes > limits.bytes) yield* close();
    const carried = await copiesIn(store, object);
    if (carried.length === 0) continue;
    if (group.size + carried.length > limits.documents) yield* close();
    for (const document of carried) {
      const identity = identityOf(document);
      if (!group.has(identity)) groupBytes += document.bytes.length;
      group.set(identity, document);
    }
    manifests += 1;
    if (manifests === limits.manifests) yield* close();
  }
  yield* close();
}

/** How many manifests of the cluster are looked at for newer keys. Hosts whose clocks differ may have named an older one later. */
const genuineManifestsRead = 4;
/** More than one is a contradiction already. */
const maxSuccessors = 16;

/**
 * Copies of epoch documents that lead on from a keyring: the newest of its keys signed them as the next, which nobody else can.
 *
 * A `keyring/` from before the keys were changed looks whole; only what was signed since shows what it lacks. Names are read from the
 * newest on, one manifest at a time, until a few were the cluster's: signed by these keys, or leading on from them. What anybody
 * can write is neither, and ends nothing before the limit that holds for all reading here.
 */
export async function successorsInManifests(store: ObjectStore, keyring: OpenedKeyring): Promise<KeyringDocument[]> {
  const found = new Map<string, KeyringDocument>();
  let genuine = 0;
  for (const object of await newestManifests(store)) {
    const bytes = await readDocument(store, object, documentLimits.manifest).catch(damagedAsAbsent);
    if (bytes === undefined) continue;
    const isOfTheseKeys = isOfKeyring(keyring, object.key, bytes);
    const copies = isOfTheseKeys ? [] : copiesOf(bytes);
    const successors = copies.filter((document) => replacesKeysOf(keyring, document));
    for (const document of successors) if (found.size < maxSuccessors) found.set(identityOf(document), document);
    if (isOfTheseKeys || successors.length > 0) genuine += 1;
    if (genuine === genuineManifestsRead) break;
  }
  return [...found.values()];
}

/**
 * The first of these manifests that carries a document which leads on from the keyring. For those that do not count under it, where
 * all were read: any number that an old key signed may lie before the ones of the newer key.
 */
export async function manifestLeadingOn(
  store: ObjectStore,
  keyring: OpenedKeyring,
  paths: readonly string[],
): Promise<string | undefined> {
  for (const path of paths) {
    const bytes = await store.get(path, { maxBytes: documentLimits.manifest }).catch(damagedAsAbsent);
    if (bytes !== undefined && copiesOf(bytes).some((document) => replacesKeysOf(keyring, document))) return path;
  }
  return undefined;
}

/** Under its own name: an older one could otherwise be copied to as many later names as are looked at. */
function isOfKeyring(keyring: OpenedKeyring, path: string, manifest: Buffer): boolean {
  try {
    const id = parseManifestPath(path);
    return id !== undefined && idIn(keyring.verify('manifest', manifest)) === id;
  } catch (error) {
    if (isEnclaveManagerError(error)) return false;
    throw error;
  }
}

function idIn(payload: unknown): unknown {
  if (typeof payload !== 'object' || payload === null || !('summary' in payload)) return undefined;
  const { summary } = payload;
  return typeof summary === 'object' && summary !== null && 'id' in summary ? summary.id : undefined;
}

async function newestManifests(store: ObjectStore): Promise<StoredObject[]> {
  const newest: StoredObject[] = [];
  for await (const object of listBounded(store, backupsPrefix)) {
    newest.push(object);
    if (newest.length > 2 * maxManifestsTried) newest.splice(0, maxManifestsTried);
  }
  return newest.slice(-maxManifestsTried).toReversed();
}

async function manifestsToTry(store: ObjectStore): Promise<StoredObject[]> {
  const ordinary: StoredObject[] = [];
  const large: StoredObject[] = [];
  for await (const object of listBounded(store, backupsPrefix)) {
    const listed = object.sizeBytes > ordinaryManifestBytes ? large : ordinary;
    listed.push(object);
    if (listed.length > 2 * maxManifestsTried) listed.splice(0, maxManifestsTried);
  }
  return [...ordinary.toReversed(), ...large.toReversed()].slice(0, maxManifestsTried);
}

async function copiesIn(store: ObjectStore, object: StoredObject): Promise<readonly KeyringDocument[]> {
  const bytes = await readDocument(store, object, documentLimits.manifest).catch(damagedAsAbsent);
  return bytes === undefined ? [] : copiesOf(bytes);
}

function copiesOf(manifest: Buffer): readonly KeyringDocument[] {
  try {
    return readManifestSummary(manifest).keyring.filter(hasPossibleLength);
  } catch (error) {
    if (isEnclaveManagerError(error)) return [];
    throw error;
  }
}

function hasPossibleLength({ path, bytes }: KeyringDocument): boolean {
  const place = parseKeyringPath(path);
  return place !== undefined && bytes.length <= documentLimits[place.type];
}
