import { isEnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { verificationPath } from '#format/layout.ts';
import type { Verification } from '#format/verification.ts';
import type { OpenedKeyring } from '#keys/keyring.ts';
import type { FailureMemory, RememberedFailure } from '#ports/failure-memory.ts';
import type { ObjectStore } from '#ports/object-store.ts';
import type { ObjectTable } from './object-table.ts';
import type { RecordedDocument, RepositoryRecord, VerificationFacts } from './read-record.ts';

/**
 * The record with those verifications that this host has seen fail and that lie in the repository no more, or are listed with an
 * earlier time: deleted or dated back there, they count as of when they were seen, until a newer one says otherwise. What failed and
 * is there is remembered from now on.
 */
export async function withRememberedFailures(
  store: ObjectStore,
  keyring: OpenedKeyring | undefined,
  record: RepositoryRecord,
  now?: Date,
): Promise<RepositoryRecord> {
  const { failures } = store;
  if (failures === undefined || keyring === undefined) return record;
  const { clusterId } = keyring;
  const isHere = (known: RememberedFailure): boolean =>
    known.clusterId === clusterId && known.location === store.location;
  const known = (await failures.read()).filter(isHere);
  const paths = new Set(known.map(({ path }) => path));
  const fresh = record.verifications.filter(({ object, facts }) => foundBad(facts) && !paths.has(object.key));
  if (fresh.length > 0) {
    await addIfAble(
      failures,
      fresh.map(({ object, facts }) => {
        const modifiedAt = earlier(now, object.modifiedAt);
        return failureOf({ ...facts, bad: record.table.names(facts.bad) }, { clusterId, store, modifiedAt });
      }),
    );
  }
  const listed = new Map(record.verifications.map(({ object }) => [object.key, object.modifiedAt.getTime()]));
  const missing = known.filter(
    ({ path, modifiedAt }) => (listed.get(path) ?? Number.NEGATIVE_INFINITY) < Date.parse(modifiedAt),
  );
  return { ...record, missing: missing.map((each) => recalled(record.table, each)) };
}

/** It has failed by now, whatever the store says: otherwise nothing read since could say the contrary until that time comes. */
const earlier = (one: Date | undefined, other: Date): Date => (one !== undefined && one < other ? one : other);

/** To be called by whoever stored it: nobody can delete it before it is remembered. */
export async function rememberIfFailed(
  store: ObjectStore,
  keyring: Pick<OpenedKeyring, 'clusterId'>,
  verification: Verification,
  now: Date,
): Promise<void> {
  if (store.failures === undefined || !foundBad(verification)) return;
  const listed = await store.head(verificationPath(verification.verificationId));
  const modifiedAt = earlier(listed?.modifiedAt, now);
  await addIfAble(store.failures, [failureOf(verification, { clusterId: keyring.clusterId, store, modifiedAt })]);
}

/** A host that cannot write still says what it has found. */
async function addIfAble(memory: FailureMemory, failures: readonly RememberedFailure[]): Promise<void> {
  try {
    await memory.add(failures);
  } catch (error) {
    const cannotWrite = ['configuration', 'no-space', 'data-directory-in-use'] as const;
    if (!cannotWrite.some((code) => isEnclaveManagerError(error, code))) throw error;
  }
}

const foundBad = ({ passed, bad }: { readonly passed: boolean; readonly bad: { readonly length: number } }): boolean =>
  !passed || bad.length > 0;

function failureOf(
  { verificationId, backups, level, at, readingMs, nodeId, passed, bad }: Omit<Verification, 'objects' | 'drill'>,
  seen: { readonly clusterId: string; readonly store: ObjectStore; readonly modifiedAt: Date },
): RememberedFailure {
  const { clusterId, store, modifiedAt } = seen;
  const path = verificationPath(verificationId);
  const where = { clusterId, location: store.location, path, modifiedAt: modifiedAt.toISOString() };
  return { ...where, verificationId, backups, level, at, readingMs, nodeId, passed, bad };
}

/** It vouches for no object. */
function recalled(table: ObjectTable, failure: RememberedFailure): RecordedDocument<VerificationFacts> {
  const { clusterId: _, location: __, path, modifiedAt, bad, ...rest } = failure;
  const facts = { ...rest, objects: new Uint32Array(), bad: table.placesOfNames(bad), drill: null };
  return { object: { key: path, sizeBytes: 0, modifiedAt: new Date(modifiedAt) }, facts };
}
