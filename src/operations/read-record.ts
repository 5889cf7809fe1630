import type { ErrorCode } from '#errors/codes.ts';
import { EnclaveManagerError, isEnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { backupsPrefix, parseManifestPath, parseVerificationPath, verificationsPrefix } from '#format/layout.ts';
import { openManifestSummary, readManifestSummary, type ObjectReference } from '#format/manifest.ts';
import { openVerification, type Verification } from '#format/verification.ts';
import type { OpenedKeyring } from '#keys/keyring.ts';
import { documentLimits, type DocumentType } from '#keys/signed-document.ts';
import type { BackupSummary } from '#model/backup.ts';
import type { ObjectStore, StoredObject } from '#ports/object-store.ts';
import { readDocuments } from './read-documents.ts';

/** The clear part of a manifest. */
export interface ManifestFacts {
  readonly summary: BackupSummary;
  readonly objects: readonly ObjectReference[];
}

/** What a document says, and how the store listed it when it was read. */
export interface RecordedDocument<Facts> {
  readonly object: StoredObject;
  readonly facts: Facts;
}

/** What this host may remember of a repository: every document was authentic by the keys of then. */
export interface RememberedRecord {
  readonly manifests: readonly RecordedDocument<ManifestFacts>[];
  readonly verifications: readonly RecordedDocument<Verification>[];
}

/** Every manifest and every signed verification of a repository, in the order of their paths. */
export interface RepositoryRecord extends RememberedRecord {
  /** What lies there and is no document of this cluster. */
  readonly rejected: readonly Rejected[];
  /** Keys of documents of which only the listing was looked at, because they are remembered. */
  readonly recalled: ReadonlySet<string>;
}

export interface Rejected {
  readonly path: string;
  readonly code: ErrorCode;
  readonly reason: string;
}

const nothingRemembered: RememberedRecord = { manifests: [], verifications: [] };

/** Reads what is not remembered; what is, counts only while the store lists the very same version of it. */
export async function readRecord(
  store: ObjectStore,
  keyring: OpenedKeyring | undefined,
  remembered: RememberedRecord = nothingRemembered,
): Promise<RepositoryRecord> {
  const rejected: Rejected[] = [];
  const recalled = new Set<string>();
  const share = sharing();
  const manifests = await readAll(
    { store, prefix: backupsPrefix, type: 'manifest', isName: isManifestPath, rejected, recalled },
    remembered.manifests,
    (key, bytes): ManifestFacts => {
      const { summary, objects } = openClear(keyring, key, bytes);
      return { summary, objects: objects.map(share) };
    },
  );
  if (keyring === undefined) return { manifests, verifications: [], rejected, recalled };
  const verifications = await readAll(
    { store, prefix: verificationsPrefix, type: 'verification', isName: isVerificationPath, rejected, recalled },
    remembered.verifications,
    (key, bytes): Verification => {
      const id = parseVerificationPath(key);
      if (id === undefined) throw new EnclaveManagerError('forged', 'not the name of a verification');
      return openVerification(keyring, id, bytes());
    },
  );
  return { manifests, verifications, rejected, recalled };
}

interface Place {
  readonly store: ObjectStore;
  readonly prefix: string;
  readonly type: DocumentType;
  isName(path: string): boolean;
  readonly rejected: Rejected[];
  readonly recalled: Set<string>;
}

async function readAll<Facts>(
  { store, prefix, type, isName, rejected, recalled }: Place,
  remembered: readonly RecordedDocument<Facts>[],
  open: (key: string, bytes: () => Buffer) => Facts,
): Promise<RecordedDocument<Facts>[]> {
  const byKey = new Map(remembered.map((document) => [document.object.key, document]));
  const recall = (object: StoredObject): RecordedDocument<Facts> | undefined => {
    const known = byKey.get(object.key);
    return known !== undefined && isSameVersion(known.object, object) ? known : undefined;
  };
  const documents: RecordedDocument<Facts>[] = [];
  const needless = (object: StoredObject): boolean => !isName(object.key) || recall(object) !== undefined;
  for await (const { object, bytes } of readDocuments(store, prefix, documentLimits[type], needless)) {
    const known = recall(object);
    if (known !== undefined) {
      recalled.add(object.key);
      documents.push(known);
      continue;
    }
    try {
      documents.push({ object, facts: open(object.key, bytes) });
    } catch (error) {
      rejected.push({ path: object.key, ...whyRejected(error) });
    }
  }
  return documents;
}

const isManifestPath = (path: string): boolean => parseManifestPath(path) !== undefined;
const isVerificationPath = (path: string): boolean => parseVerificationPath(path) !== undefined;

/** A store that tells no versions is read anew each time. */
function isSameVersion(before: StoredObject, now: StoredObject): boolean {
  return (
    now.version !== undefined &&
    before.version === now.version &&
    before.sizeBytes === now.sizeBytes &&
    before.modifiedAt.getTime() === now.modifiedAt.getTime()
  );
}

function openClear(keyring: OpenedKeyring | undefined, key: string, bytes: () => Buffer): ManifestFacts {
  const id = parseManifestPath(key);
  if (id === undefined) throw new EnclaveManagerError('forged', 'not the name of a backup');
  const manifest = keyring === undefined ? readManifestSummary(bytes()) : openManifestSummary(keyring, bytes());
  if (manifest.summary.id === id) return manifest;
  throw new EnclaveManagerError('forged', `the manifest inside is of backup ${manifest.summary.id}`);
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

/** Damage, forgery and a file that this user may not read are properties of one object; a store that does not answer fails the whole reading. */
function whyRejected(error: unknown): Pick<Rejected, 'code' | 'reason'> {
  const objectIsBad =
    isEnclaveManagerError(error) && ['damaged', 'forged', 'version-incompatible', 'configuration'].includes(error.code);
  if (!objectIsBad) throw error;
  return { code: error.code, reason: error.message };
}
