import { isEnclaveManagerError } from '#errors/enclave-manager-error.ts';
import type { NodeProof } from '#model/openability.ts';
import { readNodeProofs, recordNodeProof } from '#store/node-proofs.ts';
import type { Cluster, OperationContext } from './context.ts';

type ProvedCluster = Pick<Cluster, 'keyring' | 'database'>;

/** A running manager shows it this often. */
const proveEveryMs = 86_400_000;

/**
 * Records that this host's hardware opened its credential and the slot of every epoch: that is how the cluster given was
 * opened, a moment ago, which no host that was evicted can do. Throws `no-key` where an epoch stayed closed.
 */
export async function proveNode(
  { clock }: Pick<OperationContext, 'clock'>,
  cluster: ProvedCluster,
): Promise<NodeProof> {
  const { keyring, database } = cluster;
  for (const epoch of keyring.epochs) keyring.epochKeys(epoch);
  const proof = { at: clock.now().toISOString(), epochs: keyring.epochs };
  await recordNodeProof(database.queries, keyring.nodeId, proof);
  return proof;
}

/** For a running manager; a host that cannot prove itself has already said so where its keys were opened. */
export async function proveNodeDaily(context: Pick<OperationContext, 'clock'>, cluster: Cluster): Promise<void> {
  const { keyring, database } = cluster;
  const last = (await readNodeProofs(database.queries)).get(keyring.nodeId);
  if (last !== undefined && context.clock.now().getTime() - Date.parse(last.at) < proveEveryMs) return;
  await proveNodeIfAble(context, cluster);
}

/** Also for a database that was just restored, in which no proof is recorded yet. */
export async function proveNodeIfAble(context: Pick<OperationContext, 'clock'>, cluster: ProvedCluster): Promise<void> {
  try {
    await proveNode(context, cluster);
  } catch (error) {
    if (!isEnclaveManagerError(error, 'no-key')) throw error;
  }
}
