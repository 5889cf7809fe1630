import type { ErrorCode } from '#errors/codes.ts';
import { EnclaveManagerError, isEnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { backupsPrefix, parseManifestPath, parseVerificationPath, verificationsPrefix } from '#format/layout.ts';
import { readManifestSummary, type ObjectReference } from '#format/manifest.ts';
import { openVerification, type Verification } from '#format/verification.ts';
import type { OpenedKeyring } from '#keys/keyring.ts';
import { documentLimits } from '#keys/signed-document.ts';
import type { BackupSummary, CatalogEntry } from '#model/backup.ts';
import type { BackupId, NodeId } from '#model/identifiers.ts';
import type { ObjectStore } from '#ports/object-store.ts';
import { foldVerifications, timeByStore } from '#model/verified.ts';
import { listBounded } from './list-bounded.ts';

/** A backup as the repository shows it, with the objects it needs. */
export interface CatalogBackup {
  readonly entry: CatalogEntry;
  readonly objects: readonly ObjectReference[];
}

/** The bucket is the catalogue: every manifest and every signed verification in it, newest backup first. */
export interface Catalog {
  readonly backups: readonly CatalogBackup[];
  /** What lies there and is no backup of this cluster. */
  readonly rejected: readonly Rejected[];
  /** Names of objects that a verification found bad. */
  readonly badObjects: ReadonlySet<string>;
  /** When each object was last read back and found good, in milliseconds since the epoch. */
  readonly readAt: ReadonlyMap<string, number>;
  /** Every authentic verification, in the order of their paths; `at` is bounded by the store's clock. */
  readonly verifications: readonly StoredVerification[];
  /** Highest authentic sequence, 0 where there is none. */
  readonly highestSequence: number;
}

/** A verification as it lies in the repository. */
export interface StoredVerification extends Verification {
  readonly path: string;
  /** By the store's clock. */
  readonly modifiedAt: Date;
}

export interface Rejected {
  readonly path: string;
  readonly code: ErrorCode;
  readonly reason: string;
}

interface ReadManifest {
  readonly summary: BackupSummary;
  readonly objects: readonly ObjectReference[];
  readonly authentic: boolean | 'unknown';
}

/** Without a keyring nothing can be told apart: every readable manifest is listed with `authentic: unknown`. */
export async function readCatalog(store: ObjectStore, keyring: OpenedKeyring | undefined): Promise<Catalog> {
  const rejected: Rejected[] = [];
  const manifests: ReadManifest[] = [];
  const share = sharing();
  for await (const { key } of listBounded(store, backupsPrefix)) {
    try {
      const manifest = await readManifest(store, keyring, key);
      if (manifest !== undefined) manifests.push({ ...manifest, objects: manifest.objects.map(share) });
    } catch (error) {
      rejected.push({ path: key, ...whyRejected(error) });
    }
  }
  const verifications = keyring === undefined ? [] : await readVerifications(store, keyring, rejected);
  const bounded = verifications.map((each) => ({ ...each, at: timeByStore(each, each.modifiedAt) }));
  const folded = foldVerifications(manifests, bounded);
  const backups = manifests.map(({ summary, objects, authentic }) => {
    const { verified, lastDrill } = folded.of(summary.id);
    const openableBy = authentic === true ? openers(keyring, summary) : [];
    return { entry: { ...summary, authentic, verified, lastDrill, openableBy }, objects };
  });
  const sequences = manifests.filter(({ authentic }) => authentic === true).map(({ summary }) => summary.sequence);
  return {
    backups: backups.toSorted((a, b) => newestFirst(a.entry, b.entry)),
    rejected,
    badObjects: folded.badObjects,
    readAt: folded.readAt,
    verifications: bounded,
    highestSequence: Math.max(0, ...sequences),
  };
}

/** Backups name mostly the same objects: memory grows with those, not with how many backups there are. */
function sharing(): (object: ObjectReference) => ObjectReference {
  const known = new Map<string, ObjectReference>();
  return (object) => {
    const same = known.get(object.name);
    if (same?.sha256 === object.sha256 && same.sizeBytes === object.sizeBytes) return same;
    known.set(object.name, object);
    return object;
  };
}

async function readManifest(
  store: ObjectStore,
  keyring: OpenedKeyring | undefined,
  key: string,
): Promise<ReadManifest | undefined> {
  const id = parseManifestPath(key);
  if (id === undefined) throw new EnclaveManagerError('forged', 'not the name of a backup');
  const bytes = await store.get(key, { maxBytes: documentLimits.manifest });
  if (bytes === undefined) return undefined;
  // What is not signed is not even parsed.
  keyring?.verify('manifest', bytes);
  const { summary, objects } = readManifestSummary(bytes);
  if (summary.id !== id) throw new EnclaveManagerError('forged', `the manifest inside is of backup ${summary.id}`);
  return { summary, objects, authentic: keyring === undefined ? 'unknown' : true };
}

async function readVerifications(
  store: ObjectStore,
  keyring: OpenedKeyring,
  rejected: Rejected[],
): Promise<StoredVerification[]> {
  const verifications: StoredVerification[] = [];
  for await (const { key, modifiedAt } of listBounded(store, verificationsPrefix)) {
    try {
      const id = parseVerificationPath(key);
      if (id === undefined) throw new EnclaveManagerError('forged', 'not the name of a verification');
      const bytes = await store.get(key, { maxBytes: documentLimits.verification });
      if (bytes !== undefined) verifications.push({ ...openVerification(keyring, id, bytes), path: key, modifiedAt });
    } catch (error) {
      rejected.push({ path: key, ...whyRejected(error) });
    }
  }
  return verifications;
}

/** Damage, forgery and a file that this user may not read are properties of one object; a store that does not answer fails the whole reading. */
function whyRejected(error: unknown): Pick<Rejected, 'code' | 'reason'> {
  const objectIsBad =
    isEnclaveManagerError(error) && ['damaged', 'forged', 'version-incompatible', 'configuration'].includes(error.code);
  if (!objectIsBad) throw error;
  return { code: error.code, reason: error.message };
}

function openers(keyring: OpenedKeyring | undefined, summary: BackupSummary): NodeId[] {
  if (keyring === undefined) return [];
  return keyring.membership.nodes
    .map(({ nodeId }) => nodeId)
    .filter((nodeId) => summary.epochs.every((epoch) => keyring.epochsOpenableBy(nodeId).has(epoch)));
}

function newestFirst(a: BackupSummary, b: BackupSummary): number {
  return b.sequence - a.sequence || compare(b.startedAt, a.startedAt) || compare(b.id, a.id);
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** Finds one backup; `latest` is the newest authentic one that is not a safety backup. */
export function findBackup(catalog: Catalog, idOrLatest: BackupId | 'latest'): CatalogBackup {
  const found =
    idOrLatest === 'latest'
      ? catalog.backups.find(({ entry }) => entry.authentic !== false && entry.kind !== 'safety')
      : catalog.backups.find(({ entry }) => entry.id === idOrLatest);
  if (found !== undefined) return found;
  const rejected = catalog.rejected.find(({ path }) => parseManifestPath(path) === idOrLatest);
  if (rejected !== undefined) {
    const { code, reason } = rejected;
    throw new EnclaveManagerError(code, `backup ${idOrLatest} is not listed: ${reason}`);
  }
  const what = idOrLatest === 'latest' ? 'there is no backup yet' : `there is no backup ${idOrLatest}`;
  throw new EnclaveManagerError('not-found', what, { hint: 'backup list shows the backups; backup create makes one.' });
}
