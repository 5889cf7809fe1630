import type { KeyObject } from 'node:crypto';
import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import type { NodeId } from '#model/identifiers.ts';
import { fingerprintOf, publicKey } from './asymmetric-keys.ts';
import type { KeyringEntry } from './keyring-entry.ts';
import { type EpochPayload, epochSchema } from './payloads.ts';
import { isPlausibleStep } from './plausible-step.ts';
import { isSignedBy, parsePayload } from './signed-document.ts';

/** One generation of the cluster signing key. */
export interface Generation {
  readonly keyGeneration: number;
  /** Raw Ed25519 public key, 32 bytes. */
  readonly verifyKey: Buffer;
  readonly publicKey: KeyObject;
  readonly fingerprint: string;
}

/** An epoch document that is signed by the keys it names; whether those are the cluster's is another question. */
export interface EpochRecord {
  readonly entry: KeyringEntry;
  readonly payload: EpochPayload;
  /** The generation this document introduces. */
  readonly generation: Generation;
  /** The one it replaces; `undefined` for the first. */
  readonly previous: Generation | undefined;
}

/** The history of the cluster signing key, as far as one trusted key proves it. */
export interface KeyHistory {
  readonly newest: EpochRecord;
  readonly generations: ReadonlyMap<number, Generation>;
  /** By epoch number. */
  readonly epochs: ReadonlyMap<number, EpochRecord>;
  /** Digests of the documents of earlier generations that still count. */
  readonly acceptedPast: ReadonlySet<string>;
  /** Nodes that any of these epochs leaves out: for ever, whatever memberships name them. */
  readonly evicted: ReadonlySet<NodeId>;
  /** Those that no evicted node could open, ascending: the newest, and before it back to the last eviction. */
  readonly epochsSinceEviction: readonly number[];
}

export function newGeneration(keyGeneration: number, verifyKey: Buffer): Generation {
  return {
    keyGeneration,
    verifyKey,
    publicKey: publicKey('ed25519', verifyKey),
    fingerprint: fingerprintOf(verifyKey),
  };
}

/** Reads an epoch document and checks the signatures it must carry by its own account. Throws `forged` or `damaged`. */
export function readEpochRecord(entry: KeyringEntry): EpochRecord {
  const parsed = epochSchema.safeParse(parsePayload(entry.document));
  if (!parsed.success) throw new EnclaveManagerError('damaged', `${entry.path} does not have the payload of an epoch.`);
  const payload = parsed.data;
  const generation = newGeneration(payload.keyGeneration, Buffer.from(payload.verifyKey, 'base64'));
  const previous = previousOf(payload);
  if (previous !== undefined && !isPlausibleStep(previous.keyGeneration, payload.keyGeneration)) {
    throw new EnclaveManagerError(
      'forged',
      `${entry.path} is of key generation ${payload.keyGeneration}, too far beyond ${previous.keyGeneration}.`,
    );
  }
  const signers = previous === undefined ? [generation] : [previous, generation];
  const signed =
    entry.document.signatures.length === signers.length &&
    signers.every((signer) => isSignedBy(entry.document, signer.keyGeneration, signer.publicKey));
  if (!signed) throw new EnclaveManagerError('forged', `${entry.path} is not signed by the keys it names.`);
  if (entry.place.type !== 'epoch' || entry.place.epoch !== payload.epoch) {
    throw new EnclaveManagerError('forged', `${entry.path} holds the document of epoch ${payload.epoch}.`);
  }
  return { entry, payload, generation, previous };
}

/**
 * Walks from a trusted generation forward through its authentic successors to the newest, and from there back.
 * Two authentic successors of one generation throw `forged`, unless `clusterKey` (a fingerprint) is on one side only.
 * With `clusterKey`, a history that does not contain it throws `forged`.
 */
export function resolveHistory(
  trusted: Generation,
  records: readonly EpochRecord[],
  clusterKey: string | undefined,
): KeyHistory {
  const bySuccession = Map.groupBy(records, ({ previous }) => keyOf(previous));
  const byGeneration = Map.groupBy(records, ({ generation }) => keyOf(generation));
  const newest = newestAfter(trusted, { bySuccession, byGeneration }, clusterKey) ?? ownRecord(trusted, byGeneration);
  const history = historyBehind(newest, byGeneration);
  const fingerprints = [...history.generations.values()].map(({ fingerprint }) => fingerprint);
  if (clusterKey !== undefined && !fingerprints.includes(clusterKey) && trusted.fingerprint !== clusterKey) {
    throw new EnclaveManagerError(
      'forged',
      `The keyring leads to the cluster key ${newest.generation.fingerprint}, not to ${clusterKey}.`,
      { hint: 'Compare the cluster key with the recovery line that a backup printed.' },
    );
  }
  return history;
}

export function forkError(what: string, fingerprints: readonly string[]): EnclaveManagerError {
  return new EnclaveManagerError('forged', `${what}: ${[...new Set(fingerprints)].toSorted().join(' and ')}.`, {
    hint: 'Name the right one: keys status --cluster-key FINGERPRINT, on an empty machine restore run latest --cluster-key FINGERPRINT. The recovery line of the newest backup shows it.',
  });
}

/** Records by the generation they introduce, or by the one they replace. */
type RecordIndex = ReadonlyMap<string, readonly EpochRecord[]>;

function keyOf(generation: Generation | undefined): string {
  return generation === undefined ? '' : `${generation.keyGeneration} ${generation.verifyKey.toString('hex')}`;
}

function previousOf(payload: EpochPayload): Generation | undefined {
  const { previousKeyGeneration, previousVerifyKey } = payload;
  if (previousKeyGeneration === null || previousVerifyKey === null) return undefined;
  return newGeneration(previousKeyGeneration, Buffer.from(previousVerifyKey, 'base64'));
}

/** Ends, because every successor has a higher generation. */
function newestAfter(
  trusted: Generation,
  { bySuccession, byGeneration }: { readonly bySuccession: RecordIndex; readonly byGeneration: RecordIndex },
  clusterKey: string | undefined,
): EpochRecord | undefined {
  let newest: EpochRecord | undefined;
  for (;;) {
    const from = newest?.generation ?? trusted;
    const epochs = (byGeneration.get(keyOf(from)) ?? []).map(({ payload }) => payload.epoch);
    const successors = (bySuccession.get(keyOf(from)) ?? []).filter(
      ({ payload }) => epochs.length === 0 || isPlausibleStep(Math.min(...epochs), payload.epoch),
    );
    if (successors.length === 0) return newest;
    newest = chooseSuccessor(from, successors, bySuccession, clusterKey);
  }
}

function ownRecord(trusted: Generation, byGeneration: RecordIndex): EpochRecord {
  const [own, ...others] = byGeneration.get(keyOf(trusted)) ?? [];
  if (own !== undefined && others.length === 0) return own;
  if (own !== undefined) throw contradiction([own, ...others]);
  throw new EnclaveManagerError(
    'damaged',
    `The epoch document of key generation ${trusted.keyGeneration} (${trusted.fingerprint}) is missing.`,
    { hint: 'Put keyring/epochs/ back from a copy; every manifest carries the keyring documents of its time.' },
  );
}

function chooseSuccessor(
  from: Generation,
  successors: readonly EpochRecord[],
  bySuccession: RecordIndex,
  clusterKey: string | undefined,
): EpochRecord {
  if (successors.length === 1) return successors[0]!;
  const named =
    clusterKey === undefined ? [] : successors.filter((successor) => leadsTo(successor, bySuccession, clusterKey));
  if (named.length === 1) return named[0]!;
  throw forkError(
    `Key generation ${from.keyGeneration} has ${successors.length} authentic successors, so somebody who knew it forged one`,
    successors.map(({ generation }) => generation.fingerprint),
  );
}

function leadsTo(record: EpochRecord, bySuccession: RecordIndex, clusterKey: string): boolean {
  const reached = new Set([record]);
  for (const { generation } of reached) {
    if (generation.fingerprint === clusterKey) return true;
    for (const successor of bySuccession.get(keyOf(generation)) ?? []) reached.add(successor);
  }
  return false;
}

function historyBehind(newest: EpochRecord, byGeneration: RecordIndex): KeyHistory {
  const acceptedPast = new Set(newest.payload.acceptedPast);
  const generations = new Map([[newest.generation.keyGeneration, newest.generation]]);
  const epochs = new Map([[newest.payload.epoch, newest]]);
  let later: EpochRecord = newest;
  while (later.previous !== undefined) {
    const { previous, payload }: EpochRecord = later;
    generations.set(previous.keyGeneration, previous);
    const accepted = (byGeneration.get(keyOf(previous)) ?? []).filter(
      (record) => acceptedPast.has(record.entry.digest) && record.payload.epoch < payload.epoch,
    );
    if (accepted.length > 1) throw contradiction(accepted);
    if (accepted[0] === undefined) break;
    later = accepted[0];
    epochs.set(later.payload.epoch, later);
  }
  const evicted = new Set([...epochs.values()].flatMap(({ payload }) => payload.evicted ?? []));
  return { newest, generations, epochs, acceptedPast, evicted, epochsSinceEviction: sinceEviction(epochs) };
}

/** Earlier releases did not say whom an epoch leaves out. */
function sinceEviction(epochs: ReadonlyMap<number, EpochRecord>): number[] {
  const since: number[] = [];
  for (const [epoch, { payload }] of [...epochs].toSorted(([a], [b]) => b - a)) {
    since.unshift(epoch);
    if (payload.evicted?.length !== 0) break;
  }
  return since;
}

function contradiction(records: readonly EpochRecord[]): EnclaveManagerError {
  const { generation } = records[0]!;
  return forkError(
    `${records.map(({ entry }) => entry.path).join(' and ')} contradict each other about key generation ${generation.keyGeneration}`,
    records.map((record) => record.generation.fingerprint),
  );
}
