import { isEnclaveManagerError } from '#errors/enclave-manager-error.ts';
import type { Clock } from '#ports/clock.ts';
import type { Database } from '#ports/database.ts';
import { holdLease, type Lease } from './held-lease.ts';
import { takeLease, type LeaseRequest } from './lease-rows.ts';

const retryMs = 250;

/**
 * Takes the lease and renews it in the background. `lease-held`, which names the holder, when another has it; with
 * `waitMs` only after trying for that long.
 */
export async function acquireLease(
  database: Database,
  request: LeaseRequest & { readonly waitMs?: number; readonly signal?: AbortSignal },
  ports: { readonly clock: Clock },
): Promise<Lease> {
  const giveUpAt = ports.clock.monotonicMs() + (request.waitMs ?? 0);
  for (;;) {
    try {
      const token = await database.transaction((queries) => takeLease(queries, request));
      return holdLease(database, token, request.ttlMs);
    } catch (error) {
      if (!isEnclaveManagerError(error, 'lease-held') || ports.clock.monotonicMs() >= giveUpAt) throw error;
    }
    await ports.clock.sleep(retryMs, request.signal);
  }
}
