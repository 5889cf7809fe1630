import type { NodeId } from '#model/identifiers.ts';
import { judgeOpenability, type Openability, type OpenabilityNode } from '#model/openability.ts';
import { readNodeProofs } from '#store/node-proofs.ts';
import type { Cluster, OperationContext } from './context.ts';
import { findNode } from './find-node.ts';
import { readCatalog } from './read-catalog.ts';
import { requireStore } from './require-store.ts';

/** Which hosts open which backups; with `without`, what would be left if that host were gone. Throws `not-found`. */
export async function readOpenability(
  { clock }: Pick<OperationContext, 'clock'>,
  cluster: Cluster,
  without: string | undefined,
): Promise<Openability> {
  const store = requireStore(cluster.store);
  const gone = without === undefined ? undefined : findNode(cluster.keyring.membership.nodes, without).nodeId;
  const { backups } = await readCatalog(store, cluster.keyring);
  return judgeOpenability({
    backups: backups.filter(({ entry }) => entry.authentic === true).map(({ entry }) => entry),
    nodes: await provedNodes(cluster),
    without: gone,
    now: clock.now(),
  });
}

/** When each host last proved itself, as RFC 3339; hosts that never did are not in it. */
export async function readNodeProofTimes({ database }: Cluster): Promise<Map<NodeId, string>> {
  return new Map([...(await readNodeProofs(database.queries))].map(([nodeId, { at }]) => [nodeId, at]));
}

async function provedNodes({ keyring, database }: Cluster): Promise<OpenabilityNode[]> {
  const proofs = await readNodeProofs(database.queries);
  return keyring.membership.nodes.map(({ nodeId, name, site, sealingProvider, grade }) => ({
    nodeId,
    name,
    site,
    sealingProvider,
    grade,
    lastProof: proofs.get(nodeId) ?? null,
  }));
}
