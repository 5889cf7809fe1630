import type { ObjectStore } from '#ports/object-store.ts';
import type { Lease } from '#store/held-lease.ts';
import type { OperationContext } from './context.ts';

/** With what prune deletes. A store may have credentials of its own for that. */
export interface Removal {
  readonly lease: Lease;
  readonly store: ObjectStore;
}

/** Deletes while the lease is held; the paths together, so they must be few. */
export async function removeUnderLease(
  { signal }: OperationContext,
  { lease, store }: Removal,
  ...paths: readonly string[]
): Promise<void> {
  signal.throwIfAborted();
  await lease.assertHeld();
  await Promise.all(paths.map((path) => store.delete(path)));
}
