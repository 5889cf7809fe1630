import { isEnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { backupsPrefix } from '#format/layout.ts';
import type { NodeId } from '#model/identifiers.ts';
import { judgeOpenability, type NodeProof, type Openability } from '#model/openability.ts';
import { causeOf, type UnknownCause } from '#model/unknown.ts';
import { readNodeProofs } from '#store/node-proofs.ts';
import type { Cluster, OperationContext } from './context.ts';
import { findNode } from './find-node.ts';
import { describeHidden } from './hidden-backups.ts';
import { findKeyringGaps } from './keyring-gaps.ts';
import { readCatalog, type Catalog } from './read-catalog.ts';
import { requireStore } from './require-store.ts';
import { seeCatalog } from './see-catalog.ts';

/** Which hosts open which backups; with `without`, what would be left if that host were gone. Throws `not-found`. */
export async function readOpenability(
  { clock }: Pick<OperationContext, 'clock'>,
  cluster: Cluster,
  without: string | undefined,
): Promise<Openability> {
  const store = requireStore(cluster.store);
  const gone = without === undefined ? undefined : findNode(cluster.keyring.membership.nodes, without).nodeId;
  const { catalog, existed } = await seeCatalog(cluster, () => readCatalog(store, cluster.keyring, clock.now()));
  const proofs = withSigned(await readNodeProofs(cluster.database.queries), catalog);
  return judgeOpenability({
    hidden: describeHidden({ where: store.location, newest: catalog.highestSequence, existed }),
    rejectedManifests: catalog.rejected.filter(({ path }) => path.startsWith(backupsPrefix)).length,
    backups: catalog.backups.filter(({ entry }) => entry.authentic === true).map(({ entry }) => entry),
    nodes: cluster.keyring.membership.nodes.map(({ nodeId, name, site, sealingProvider, grade }) => ({
      nodeId,
      name,
      site,
      sealingProvider,
      grade,
      lastProof: proofs.get(nodeId) ?? null,
    })),
    keyringGaps: await findKeyringGaps(store, cluster.keyring),
    without: gone,
    now: clock.now(),
  });
}

/** When each host last proved itself, as RFC 3339. */
export interface NodeProofTimes {
  /** Hosts that never did are not in it, nor those of which only the repository knows while that cannot be read. */
  readonly provedAt: ReadonlyMap<NodeId, string>;
  /** Why it may have been otherwise. */
  readonly unknown: UnknownCause | null;
}

export async function readNodeProofTimes(
  context: Pick<OperationContext, 'clock'>,
  cluster: Cluster,
): Promise<NodeProofTimes> {
  const { keyring, database } = cluster;
  const recorded = await readNodeProofs(database.queries);
  const isComplete = keyring.membership.nodes.every(({ nodeId }) => recorded.has(nodeId));
  const found = isComplete ? undefined : await catalogOrCause(context, cluster);
  const catalog = found !== undefined && 'backups' in found ? found : undefined;
  const proofs = catalog === undefined ? recorded : withSigned(recorded, catalog);
  const provedAt = new Map([...proofs].map(([nodeId, { at }]) => [nodeId, at]));
  return { provedAt, unknown: found === undefined || 'backups' in found ? null : found };
}

/**
 * A restored database has no proofs yet; but whoever signed a verification had opened the epochs of its backups, and the
 * repository still knows when.
 */
function withSigned(recorded: ReadonlyMap<NodeId, NodeProof>, catalog: Catalog): Map<NodeId, NodeProof> {
  const proofs = new Map(recorded);
  const epochsOf = new Map(catalog.backups.map(({ entry }) => [entry.id, entry.epochs] as const));
  for (const { nodeId, at, passed, backups } of catalog.verifications) {
    const known = proofs.get(nodeId);
    if (!passed || recorded.has(nodeId) || (known !== undefined && known.at >= at)) continue;
    const epochs = new Set(backups.flatMap((id) => epochsOf.get(id) ?? []));
    proofs.set(nodeId, { at, epochs: [...epochs].toSorted((a, b) => a - b) });
  }
  return proofs;
}

/** A list of hosts needs no repository. */
async function catalogOrCause(
  { clock }: Pick<OperationContext, 'clock'>,
  cluster: Cluster,
): Promise<Catalog | UnknownCause> {
  try {
    const store = requireStore(cluster.store);
    return (await seeCatalog(cluster, () => readCatalog(store, cluster.keyring, clock.now()))).catalog;
  } catch (error) {
    if (isEnclaveManagerError(error)) return causeOf(error);
    throw error;
  }
}
