import { encodeVerification } from '#format/verification.ts';
import { verificationPath } from '#format/layout.ts';
import type { OpenedKeyring } from '#keys/keyring.ts';
import type { VerificationFacts } from '#model/verified.ts';
import { timedId } from '#model/identifiers.ts';
import type { ObjectStore } from '#ports/object-store.ts';
import { requireCurrentKeys } from './current-keys.ts';
import type { OperationContext } from './context.ts';

type Outcome = Pick<VerificationFacts, 'backups' | 'level' | 'passed' | 'objects'> &
  Partial<Pick<VerificationFacts, 'at' | 'bad' | 'drill'>>;

/** Writes one signed verification. */
export async function recordVerification(
  context: OperationContext,
  store: ObjectStore,
  keyring: OpenedKeyring,
  outcome: Outcome,
): Promise<void> {
  // Reading takes long; what is signed with the keys of before would count nowhere.
  await requireCurrentKeys(keyring, { store });
  const now = context.clock.now();
  const verificationId = timedId(now, context.randomness.bytes(6));
  const facts = { at: now.toISOString(), drill: null, ...outcome };
  const sorted = { objects: outcome.objects?.toSorted() ?? null, bad: outcome.bad?.toSorted() ?? [] };
  const bytes = encodeVerification(keyring, { verificationId, nodeId: keyring.nodeId, ...facts, ...sorted });
  await store.put(verificationPath(verificationId), bytes);
}
