import type { ErrorCode } from '#errors/codes.ts';
import { EnclaveManagerError, isEnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { backupsPrefix, parseManifestPath, parseVerificationPath, verificationsPrefix } from '#format/layout.ts';
import { openerOfSummaries, readManifestSummary } from '#format/manifest.ts';
import { openVerification, type Verification } from '#format/verification.ts';
import type { OpenedKeyring } from '#keys/keyring.ts';
import { documentLimits } from '#keys/signed-document.ts';
import type { BackupSummary } from '#model/backup.ts';
import type { ObjectStore, StoredObject } from '#ports/object-store.ts';
import { ObjectTable } from './object-table.ts';
import { readDocument, workThrough } from './read-documents.ts';

/** The clear part of a manifest; objects are places in the table of the record. */
export interface ManifestFacts {
  readonly summary: BackupSummary;
  readonly objects: Uint32Array;
}

/** A verification with its names as places. */
export interface VerificationFacts extends Omit<Verification, 'objects' | 'bad'> {
  readonly objects: Uint32Array | null;
  readonly bad: Uint32Array;
}

/** What a document says, and how the store listed it when it was read. */
export interface RecordedDocument<Facts> {
  readonly object: StoredObject;
  readonly facts: Facts;
}

/** What this host may remember of a repository: every document was authentic by the keys of then. */
export interface RememberedRecord {
  readonly table: ObjectTable;
  readonly manifests: readonly RecordedDocument<ManifestFacts>[];
  readonly verifications: readonly RecordedDocument<VerificationFacts>[];
}

/** Every manifest and every signed verification of a repository, in the order of their paths. */
export interface RepositoryRecord extends RememberedRecord {
  /** What lies there and is no document of this cluster. */
  readonly rejected: readonly Rejected[];
  /** Keys of documents of which only the listing was looked at, because they are remembered. */
  readonly recalled: ReadonlySet<string>;
  /** Verifications that lie there no more, or dated back, and count on, because this host has seen them fail. */
  readonly missing?: readonly RecordedDocument<VerificationFacts>[];
}

export interface Rejected {
  readonly path: string;
  readonly code: ErrorCode;
  readonly reason: string;
}

/** Reads what is not remembered; what is, counts only while the store lists the very same version of it. */
export async function readRecord(
  store: ObjectStore,
  keyring: OpenedKeyring | undefined,
  remembered: RememberedRecord = { table: new ObjectTable(), manifests: [], verifications: [] },
): Promise<RepositoryRecord> {
  const { table } = remembered;
  const seen = { rejected: [], recalled: new Set<string>() };
  const manifests = await readAll(store, manifestDocuments(keyring, table), remembered.manifests, seen);
  if (keyring === undefined) return { table, manifests, verifications: [], ...seen };
  const verifications = await readAll(store, verificationDocuments(keyring, table), remembered.verifications, seen);
  return { table, manifests, verifications, ...seen };
}

interface DocumentKind<Facts> {
  /** With its article. */
  readonly what: string;
  readonly prefix: string;
  readonly maxBytes: number;
  parsePath(path: string): string | undefined;
  open(id: string, bytes: Buffer): Promise<Facts>;
}

function manifestDocuments(keyring: OpenedKeyring | undefined, table: ObjectTable): DocumentKind<ManifestFacts> {
  const openSummary = keyring === undefined ? readManifestSummary : openerOfSummaries(keyring, table);
  return {
    what: 'a backup',
    prefix: backupsPrefix,
    maxBytes: documentLimits.manifest,
    parsePath: parseManifestPath,
    open: async (id, bytes) => {
      const { summary, objects } = await openSummary(bytes);
      if (summary.id !== id) throw new EnclaveManagerError('forged', `the manifest inside is of backup ${summary.id}`);
      return { summary, objects: table.places(objects) };
    },
  };
}

function verificationDocuments(keyring: OpenedKeyring, table: ObjectTable): DocumentKind<VerificationFacts> {
  return {
    what: 'a verification',
    prefix: verificationsPrefix,
    maxBytes: documentLimits.verification,
    parsePath: parseVerificationPath,
    open: async (id, bytes) => {
      const { objects, bad, ...facts } = await openVerification(keyring, id, bytes);
      const read = objects === null ? null : table.placesOfNames(objects);
      return { ...facts, objects: read, bad: table.placesOfNames(bad) };
    },
  };
}

interface Seen {
  readonly rejected: Rejected[];
  readonly recalled: Set<string>;
}

async function readAll<Facts>(
  store: ObjectStore,
  { what, prefix, maxBytes, parsePath, open }: DocumentKind<Facts>,
  remembered: readonly RecordedDocument<Facts>[],
  { rejected, recalled }: Seen,
): Promise<RecordedDocument<Facts>[]> {
  const byKey = new Map(remembered.map((document) => [document.object.key, document]));
  const read = async (object: StoredObject): Promise<RecordedDocument<Facts> | Rejected | undefined> => {
    try {
      const id = parsePath(object.key);
      if (id === undefined) throw new EnclaveManagerError('forged', `not the name of ${what}`);
      const bytes = await readDocument(store, object, maxBytes);
      return bytes && { object, facts: await open(id, bytes) };
    } catch (error) {
      return { path: object.key, ...whyRejected(error) };
    }
  };
  const recall = (object: StoredObject): RecordedDocument<Facts> | undefined => {
    const known = byKey.get(object.key);
    if (known === undefined || !isSameVersion(known.object, object)) return undefined;
    recalled.add(object.key);
    return known;
  };
  const documents: RecordedDocument<Facts>[] = [];
  for await (const document of workThrough(store, prefix, (object) => recall(object) ?? read(object))) {
    if ('facts' in document) documents.push(document);
    else rejected.push(document);
  }
  return documents;
}

/** A store that tells no versions is read anew each time. */
function isSameVersion(before: StoredObject, now: StoredObject): boolean {
  return (
    now.version !== undefined &&
    before.version === now.version &&
    before.sizeBytes === now.sizeBytes &&
    before.modifiedAt.getTime() === now.modifiedAt.getTime()
  );
}

/** Damage, forgery and a file that this user may not read are properties of one object; a store that does not answer fails the whole reading. */
function whyRejected(error: unknown): Pick<Rejected, 'code' | 'reason'> {
  if (!isEnclaveManagerError(error, 'damaged', 'forged', 'version-incompatible', 'configuration')) throw error;
  return { code: error.code, reason: error.message };
}
