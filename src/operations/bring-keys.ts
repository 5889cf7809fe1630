import { isEnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { openKeyring } from '#keys/keyring.ts';
import type { ObjectStore } from '#ports/object-store.ts';
import { readKeyringDocuments } from '#store/keyring-documents.ts';
import { completeKeyring } from './adopt-repository.ts';
import { checkMarker } from './check-marker.ts';
import type { Host, OperationContext } from './context.ts';
import { readLiveCluster } from './read-live-cluster.ts';
import { readKeyringDocuments as readRepositoryDocuments } from './open-repository.ts';

/**
 * Brings what the live database alone knows of the keys to the repository, before a restore that reads only there: somebody
 * who was killed between the two may have left the newest membership in the database, and the restore would undo it. Where
 * that is impossible, what lies in the repository counts.
 */
export async function bringKeysToRepository(
  context: OperationContext,
  host: Host & { readonly store: ObjectStore },
): Promise<void> {
  try {
    await bring(host);
  } catch (error) {
    if (!isEnclaveManagerError(error) || context.signal.aborted) throw error;
    context.progress.note(`the keys in the live database are not looked at: ${error.message}`);
  }
}

async function bring(host: Host & { readonly store: ObjectStore }): Promise<void> {
  const { server, store, sealing } = host;
  const row = await readLiveCluster(host);
  if (row === undefined || row.state === 'creating') return;
  const inRepository = await readRepositoryDocuments(store);
  const present = new Set(inRepository.map(({ path }) => path));
  const database = server.open(server.liveName, { connections: 1 });
  try {
    const missing = (await readKeyringDocuments(database.queries)).filter(({ path }) => !present.has(path));
    if (missing.length === 0) return;
    const keyring = await openKeyring([...inRepository, ...missing], sealing);
    if (keyring.clusterId !== row.clusterId) return;
    await checkMarker(store, keyring);
    await completeKeyring(store, keyring.documents);
  } finally {
    await database.close();
  }
}
