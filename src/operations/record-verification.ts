import { encodeVerification } from '#format/verification.ts';
import { verificationPath } from '#format/layout.ts';
import type { OpenedKeyring } from '#keys/keyring.ts';
import type { VerificationFacts } from '#model/verified.ts';
import { timedId } from '#model/identifiers.ts';
import type { Database } from '#ports/database.ts';
import type { ObjectStore } from '#ports/object-store.ts';
import type { Lease } from '#store/held-lease.ts';
import { acquireLease } from '#store/leases.ts';
import { requireCurrentKeys } from './current-keys.ts';
import { rememberIfFailed } from './remembered-failures.ts';
import { admissionLease, type OperationContext } from './context.ts';
import type { ReadingTime } from './reading-time.ts';
import { closeBegunEpochs } from './store-keys.ts';

/** A repository whose backups are verified, with the live database where there is one and nothing else keeps its keys from changing. */
export interface VerifiedRepository {
  readonly store: ObjectStore;
  readonly keyring: OpenedKeyring;
  readonly database?: Database;
}

type Outcome = Pick<VerificationFacts, 'backups' | 'level' | 'passed' | 'objects'> &
  Partial<Pick<VerificationFacts, 'bad' | 'drill'>> & {
    /** Of the reading that it is the outcome of. */
    readonly begun: ReadingTime;
  };

/** An admission takes moments; a change of the keys may take longer, and what was found then counts nowhere. */
const admissionWaitMs = 60_000;

/**
 * Writes one signed verification. Whoever changes the keys writes down what counts of everything signed before, and what
 * is signed meanwhile would be on no list: with `database` that is kept out, unless the caller does so already; without, as
 * where a host has the repository alone, it is noticed. Throws `lease-held` then.
 */
export async function recordVerification(
  context: OperationContext,
  { store, keyring, database }: VerifiedRepository,
  outcome: Outcome,
): Promise<void> {
  if (database === undefined) {
    await signAndStore(context, store, keyring, outcome);
    await requireCurrentKeys(keyring, { store });
    return;
  }
  const request = { ...admissionLease, holder: context.holder, waitMs: admissionWaitMs, signal: context.signal };
  const lease = await acquireLease(database, request, context);
  try {
    await signAndStore(context, store, keyring, outcome, lease);
  } finally {
    await lease.release();
  }
}

async function signAndStore(
  context: OperationContext,
  store: ObjectStore,
  keyring: OpenedKeyring,
  { begun, ...outcome }: Outcome,
  lease?: Lease,
): Promise<void> {
  // Reading takes long; what is signed with the keys of before would count nowhere.
  await requireCurrentKeys(keyring, { store });
  if (lease !== undefined) await closeBegunEpochs(store, keyring, { check: () => lease.assertHeld() });
  const verificationId = timedId(context.clock.now(), context.randomness.bytes(6));
  const facts = { at: begun.at, readingMs: begun.elapsedMs(), drill: null, ...outcome };
  const sorted = { objects: outcome.objects?.toSorted() ?? null, bad: outcome.bad?.toSorted() ?? [] };
  const verification = { verificationId, nodeId: keyring.nodeId, ...facts, ...sorted };
  const bytes = encodeVerification(keyring, verification);
  await lease?.assertHeld();
  await store.put(verificationPath(verificationId), bytes);
  await rememberIfFailed(store, keyring, verification, context.clock.now());
}
