import { EnclaveManagerError, isEnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { manifestPath } from '#format/layout.ts';
import { encodeManifest, type Manifest } from '#format/manifest.ts';
import type { BackupId } from '#model/identifiers.ts';
import type { ObjectStore } from '#ports/object-store.ts';
import type { Lease } from '#store/held-lease.ts';
import type { BackupAge } from './backup-age.ts';
import type { Cluster, OperationContext } from './context.ts';
import { closeBegunEpochs } from './store-keys.ts';

/** From here on the backup exists. Only a holder of the live lease may do this, and not long after it looked at the repository. */
export async function commitManifest(
  context: OperationContext,
  store: ObjectStore,
  cluster: Cluster,
  { manifest, lease, age }: { readonly manifest: Manifest; readonly lease: Lease; readonly age: BackupAge },
): Promise<void> {
  const bytes = encodeManifest(cluster.keyring, manifest, context.randomness);
  context.signal.throwIfAborted();
  await lease.assertHeld();
  // Last, so that no pause between the two goes unnoticed.
  await age.assertYoung();
  context.crashPoints.reach('backup.committing');
  if ((await store.put(manifestPath(manifest.summary.id), bytes)) === 'exists') {
    throw new EnclaveManagerError(
      'unexpected',
      `a backup named ${manifest.summary.id} exists already; nothing was replaced`,
    );
  }
  context.crashPoints.reach('backup.manifest-written');
  await lease.assertHeld().catch(async (error: unknown) => {
    throw isEnclaveManagerError(error, 'lease-held') ? await withdrawn(store, manifest.summary.id, lostLease) : error;
  });
  // Another database of this cluster has a lease of its own, and may have changed the keys.
  await closeBegunEpochs(store, cluster.keyring, { check: () => lease.assertHeld() }).catch(async (error: unknown) => {
    throw isEnclaveManagerError(error, 'lease-held')
      ? await withdrawn(store, manifest.summary.id, error.message)
      : error;
  });
}

const lostLease = 'its lease was lost already, as after this process or the network stood still';

/**
 * The manifest took effect when somebody else had the lease: had he changed the keys, and listed before what counts with
 * them, it would be of no use to anybody. Prune copes with what is left where this user may not delete.
 */
async function withdrawn(store: ObjectStore, id: BackupId, because: string): Promise<EnclaveManagerError> {
  const why = `backup ${id} was written when it did not count any more: ${because}`;
  try {
    await store.delete(manifestPath(id));
  } catch (error) {
    if (!isEnclaveManagerError(error)) throw error;
    return new EnclaveManagerError('lease-held', `${why}, and could not be taken off the list: ${error.message}`);
  }
  return new EnclaveManagerError('lease-held', `${why}; it was taken off the list`, {
    hint: 'Run the command again: what is stored already is not stored again.',
  });
}
