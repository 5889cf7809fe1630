import type { Database } from '#ports/database.ts';
import type { Lease } from '#store/held-lease.ts';
import { requireLease } from '#store/lease-rows.ts';
import { acquireLease } from '#store/leases.ts';
import type { Queries } from '#store/tables.ts';
import { admissionLease, operationLease, type OperationContext } from './context.ts';

/** What keeps everybody else from changing the keys meanwhile, and us from writing once that is no longer so. */
export interface KeyFence {
  /** Throws when the work was interrupted or a lease lost; before each write to the repository. */
  check(): Promise<void>;
  /** Makes a transaction depend on the leases; first in it. */
  require(queries: Queries): Promise<void>;
}

/** An admission takes moments; a backup or a restore is not waited for. */
const admissionWaitMs = 15_000;

/** `everything` keeps out backups, restores and enrolment; `enrolment` only what makes memberships. Throws `lease-held`. */
export async function withKeyFence<T>(
  context: OperationContext,
  database: Database,
  what: 'everything' | 'enrolment',
  work: (context: OperationContext, fence: KeyFence) => Promise<T>,
): Promise<T> {
  const leases: Lease[] = [];
  try {
    const { holder, signal } = context;
    if (what === 'everything') leases.push(await acquireLease(database, { ...operationLease, holder }, context));
    const admission = { ...admissionLease, holder, waitMs: admissionWaitMs, signal };
    leases.push(await acquireLease(database, admission, context));
    const inner = { ...context, signal: AbortSignal.any([signal, ...leases.map(({ lost }) => lost)]) };
    return await work(inner, {
      check: async () => {
        inner.signal.throwIfAborted();
        for (const lease of leases) await lease.assertHeld();
      },
      require: async (queries) => {
        for (const { token } of leases) await requireLease(queries, token);
      },
    });
  } finally {
    for (const lease of leases.toReversed()) await lease.release();
  }
}
