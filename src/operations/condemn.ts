import { encodeCondemned, maxCondemned } from '#format/condemned.ts';
import { condemnedPath } from '#format/layout.ts';
import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { timedId } from '#model/identifiers.ts';
import type { Lease } from '#store/held-lease.ts';
import type { OperationContext } from './context.ts';
import type { PrunedRepository } from './plan-prune.ts';

/**
 * Records the objects, signed, and resolves with the time that the store gave the record: the only clock by which a
 * grace is measured. Without objects an empty record is written, for its time.
 */
export async function condemn(
  context: OperationContext,
  { store, keyring }: PrunedRepository,
  lease: Lease,
  objects: readonly string[],
): Promise<Date> {
  let at: Date | undefined;
  for (let begin = 0; at === undefined || begin < objects.length; begin += maxCondemned) {
    const now = context.clock.now();
    const condemnedId = timedId(now, context.randomness.bytes(6));
    const bytes = encodeCondemned(keyring, {
      condemnedId,
      at: now.toISOString(),
      nodeId: keyring.nodeId,
      objects: objects.slice(begin, begin + maxCondemned),
    });
    context.signal.throwIfAborted();
    await lease.assertHeld();
    await store.put(condemnedPath(condemnedId), bytes);
    const stored = await store.head(condemnedPath(condemnedId));
    if (stored === undefined) {
      throw new EnclaveManagerError('damaged', `${condemnedPath(condemnedId)} went away right after it was stored`);
    }
    at = stored.modifiedAt;
  }
  return at;
}
