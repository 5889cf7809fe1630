import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { backupsPrefix, parseManifestPath } from '#format/layout.ts';
import type { ObjectReference } from '#format/manifest.ts';
import type { Verification } from '#format/verification.ts';
import type { OpenedKeyring } from '#keys/keyring.ts';
import type { BackupSummary, CatalogEntry } from '#model/backup.ts';
import type { BackupId, NodeId } from '#model/identifiers.ts';
import type { ObjectStore } from '#ports/object-store.ts';
import { type FoldedVerifications, foldVerifications, timeByStore } from '#model/verified.ts';
import { withRememberedFailures } from './remembered-failures.ts';
import type { ObjectTable } from './object-table.ts';
import { byPlausibleSequence } from './plausible-sequence.ts';
import {
  readRecord,
  type ManifestFacts,
  type RecordedDocument,
  type Rejected,
  type RepositoryRecord,
  type VerificationFacts,
} from './read-record.ts';

/** A backup as the repository shows it, with the objects it needs. */
export interface CatalogBackup {
  readonly entry: CatalogEntry;
  /** Made when it is asked for; the same object is the same reference in every list. */
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
  /** Every authentic verification, in the order of their paths; `at` is bounded by the clocks of the store and of this host. */
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

/**
 * Without a keyring nothing can be told apart: every readable manifest is listed with `authentic: unknown`. Without `now`
 * verifications are believed to be of whatever time they claim: that is for whoever looks at none.
 */
export async function readCatalog(
  store: ObjectStore,
  keyring: OpenedKeyring | undefined,
  now?: Date,
): Promise<Catalog> {
  return catalogOf(keyring, await withRememberedFailures(store, keyring, await readRecord(store, keyring), now), now);
}

/**
 * What the documents say together, for a host with these keys. Lists of objects are spelled out for whoever asks for them:
 * there may be millions of entries, and who lists backups needs none.
 */
export function catalogOf(keyring: OpenedKeyring | undefined, record: RepositoryRecord, now?: Date): Catalog {
  const { table } = record;
  const { plausible: manifests, rejected } =
    keyring === undefined ? untold(record) : byPlausibleSequence(record.manifests);
  const folded = foldRecord({ ...record, manifests }, now);
  const authentic = keyring === undefined ? 'unknown' : true;
  const openers = keyring === undefined ? () => [] : openersBy(keyring);
  const backups = manifests.map(({ facts: { summary, objects } }): CatalogBackup => {
    const { verified, lastDrill } = folded.of(summary.id);
    const entry = { ...summary, authentic, verified, lastDrill, openableBy: openers(summary) } as const;
    return {
      entry,
      get objects() {
        return table.references(objects);
      },
    };
  });
  const badObjects = once(() => new Set(table.names(Uint32Array.from(folded.badObjects))));
  const readAt = once(() => readTimes(table, folded.readAt));
  const verifications = once(() => record.verifications.map((document) => spelledOut(table, document, now)));
  return {
    backups: backups.toSorted((a, b) => newestFirst(a.entry, b.entry)),
    rejected: [...record.rejected, ...rejected],
    get badObjects() {
      return badObjects();
    },
    get readAt() {
      return readAt();
    },
    get verifications() {
      return verifications();
    },
    highestSequence: keyring === undefined ? 0 : highestOf(manifests.map(({ facts }) => facts)),
  };
}

/** What nothing here proves: who signed it, that it was read back or tried, and who opens it. */
export const unproved = (entry: CatalogEntry): CatalogEntry => ({
  ...entry,
  authentic: 'unknown',
  verified: null,
  lastDrill: null,
  openableBy: [],
});

const untold = ({ manifests }: RepositoryRecord) => ({ plausible: manifests, rejected: [] });

function foldRecord(
  { table, manifests, verifications, missing = [] }: RepositoryRecord,
  now: Date | undefined,
): FoldedVerifications {
  const numbers = (places: Uint32Array): Uint32Array => table.numbersOfNames(places);
  return foldVerifications(
    manifests.map(({ facts: { summary, objects } }) => ({ summary, objects: numbers(objects) })),
    [...verifications, ...missing].map(({ facts, object }) => {
      const objects = facts.objects && numbers(facts.objects);
      return { ...facts, objects, bad: numbers(facts.bad), at: timeByStore(facts, object.modifiedAt, now) };
    }),
    table.length,
  );
}

function readTimes(table: ObjectTable, readAt: Float64Array): Map<string, number> {
  const times = new Map<string, number>();
  for (const [place, at] of readAt.entries()) if (!Number.isNaN(at)) times.set(table.name(place), at);
  return times;
}

function spelledOut(
  table: ObjectTable,
  { object: { key: path, modifiedAt }, facts }: RecordedDocument<VerificationFacts>,
  now: Date | undefined,
): StoredVerification {
  const objects = facts.objects && table.names(facts.objects);
  const at = timeByStore(facts, modifiedAt, now);
  return { ...facts, objects, bad: table.names(facts.bad), path, modifiedAt, at };
}

function once<T extends object>(make: () => T): () => T {
  let made: T | undefined;
  return () => (made ??= make());
}

const highestOf = (manifests: readonly ManifestFacts[]): number =>
  manifests.reduce((highest, { summary }) => Math.max(highest, summary.sequence), 0);

/** By node once, not by node and backup. */
function openersBy(keyring: OpenedKeyring): (summary: BackupSummary) => NodeId[] {
  const nodes = keyring.membership.nodes.map(({ nodeId }) => ({ nodeId, opens: keyring.epochsOpenableBy(nodeId) }));
  return ({ epochs }) =>
    nodes.filter(({ opens }) => epochs.every((epoch) => opens.has(epoch))).map(({ nodeId }) => nodeId);
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
  const isLeftOut = catalog.rejected.some(({ path }) => path.startsWith(backupsPrefix));
  const none = isLeftOut ? 'no backup here can be read and was signed by this cluster' : 'there is no backup';
  const what = idOrLatest === 'latest' ? none : `there is no backup ${idOrLatest}`;
  throw new EnclaveManagerError('not-found', what, { hint: 'backup list shows the backups; backup create makes one.' });
}
