import { keyringPath } from '#keys/keyring-paths.ts';
import { saveKeyringDocuments } from '#store/keyring-documents.ts';
import { syncNodes } from '#store/nodes.ts';
import type { Cluster, Host, OperationContext } from './context.ts';
import { withKeyFence } from './key-fence.ts';
import { reopenCluster } from './open-cluster.ts';
import { keyringPastMemory } from './past-memory.ts';
import { publishMembership } from './publish-membership.ts';

/** Has a cluster that serves go on beyond the memberships that this host has seen and that are nowhere now. Safe to repeat. */
export async function goPastMemory(context: OperationContext, host: Host, cluster: Cluster): Promise<Cluster> {
  return await withKeyFence(context, cluster.database, 'enrolment', async (inner, fence) => {
    const opened = await reopenCluster(inner, host, cluster);
    const keyring = await keyringPastMemory(inner, host, opened.keyring);
    if (keyring === opened.keyring) return opened;
    const path = keyringPath({ type: 'members', number: keyring.membership.number });
    const documents = keyring.documents.filter((document) => document.path === path);
    await opened.database.transaction(async (queries) => {
      await fence.require(queries);
      await saveKeyringDocuments(queries, documents);
      await syncNodes(queries, keyring.membership, inner);
    });
    return await publishMembership(inner, host, await reopenCluster(inner, host, opened), fence);
  });
}
