import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { keyringPath } from '#keys/keyring-paths.ts';
import { nextMembership } from '#keys/next-membership.ts';
import { saveKeyringDocuments } from '#store/keyring-documents.ts';
import { syncNodes } from '#store/nodes.ts';
import { membersSchema } from '#keys/payloads.ts';
import type { Cluster, Host, OperationContext } from './context.ts';
import type { KeyFence } from './key-fence.ts';
import { reopenCluster } from './open-cluster.ts';
import { putAndReadBack } from './store-keys.ts';

const maxAttempts = 16;

/**
 * Brings the newest membership from the database, where it was decided, to the repository. Where something else lies under
 * its number there, the same membership is written again under the next.
 */
export async function publishMembership(
  context: OperationContext,
  host: Host,
  cluster: Cluster,
  fence: KeyFence,
): Promise<Cluster> {
  const { store } = cluster;
  if (store === undefined) return cluster;
  let opened = cluster;
  for (let attempt = 0; attempt < maxAttempts; attempt += 1) {
    const path = keyringPath({ type: 'members', number: opened.keyring.membership.number });
    const document = opened.keyring.documents.find((each) => each.path === path)!;
    if (await putAndReadBack(store, [document], fence)) return opened;
    opened = await renumber(context, host, opened, fence);
  }
  throw new EnclaveManagerError('damaged', `${maxAttempts} times something else lay where the membership should be`, {
    hint: 'Somebody else writes to the repository: find out who, then run the command again.',
  });
}

async function renumber(context: OperationContext, host: Host, cluster: Cluster, fence: KeyFence): Promise<Cluster> {
  const { keyring, database } = await reopenCluster(context, host, cluster);
  const members = nextMembership(keyring, keyring.membership, context.clock.now());
  await database.transaction(async (queries) => {
    await fence.require(queries);
    await saveKeyringDocuments(queries, [members]);
    await syncNodes(queries, membersSchema.parse(keyring.verify('members', members.bytes)), context);
  });
  return await reopenCluster(context, host, cluster);
}
