import { isEnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { finishAdvance, isAdvanceUnderWay } from './advance-keys.ts';
import type { Cluster, Host, OperationContext } from './context.ts';
import { goPastMemory } from './go-past-memory.ts';
import { withKeyFence } from './key-fence.ts';
import { reopenCluster } from './open-cluster.ts';
import { rememberedMembership } from './remember-node.ts';
import { needsReseal, resealOwnCredential } from './reseal-credential.ts';
import { isDatabaseBehind, settleKeys } from './settle-keys.ts';

/**
 * What a change of the keys leaves to do, on every host that opens the cluster: finishes one that was interrupted, and
 * seals this host's credential anew; where a person named the cluster key against what this host has seen, goes on beyond that.
 * Resolves with the cluster as it is then.
 */
export async function tendKeys(context: OperationContext, host: Host, cluster: Cluster): Promise<Cluster> {
  if (!cluster.keyring.isMember) return cluster;
  let tended = cluster;
  if (cluster.keyring.membership.number < (await rememberedMembership(cluster))) {
    tended = await goPastMemory(context, host, cluster);
  }
  if (isAdvanceUnderWay(tended.keyring) || (await isDatabaseBehind(tended))) {
    tended = await finishInterrupted(context, host, tended);
  }
  return needsReseal(tended.keyring) ? await resealOwnCredential(context, host, tended) : tended;
}

/** The same for a command that has something else to do: whoever is in the way may do it, or the next command. */
export async function tendKeysIfPossible(context: OperationContext, host: Host, cluster: Cluster): Promise<Cluster> {
  try {
    return await tendKeys(context, host, cluster);
  } catch (error) {
    if (!isEnclaveManagerError(error) || context.signal.aborted) throw error;
    if (error.code !== 'lease-held') context.progress.note(`the keys are not all brought forward: ${error.message}`);
    return cluster;
  }
}

async function finishInterrupted(context: OperationContext, host: Host, cluster: Cluster): Promise<Cluster> {
  return await withKeyFence(context, cluster.database, 'everything', async (inner, fence) => {
    const opened = await reopenCluster(inner, host, cluster);
    if (isAdvanceUnderWay(opened.keyring)) return await finishAdvance(inner, host, opened, fence);
    if (!(await isDatabaseBehind(opened))) return opened;
    const { database, keyring } = opened;
    await database.transaction(async (queries) => {
      await fence.require(queries);
      // Nothing proves that the rows were ever these: a host that was evicted could have made them look old.
      const columns = { accepted: [], refused: 'leave' } as const;
      const { membership, documents } = keyring;
      await settleKeys(inner, queries, keyring, { membership, documents, columns, database });
    });
    return opened;
  });
}
