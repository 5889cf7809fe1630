import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import type { OpenedKeyring } from '#keys/keyring.ts';
import { parseKeyringPath } from '#keys/keyring-paths.ts';
import type { BackupId, NodeId } from '#model/identifiers.ts';
import { listNodes } from '#store/nodes.ts';
import { listSecrets, type Secrets } from '#store/secrets.ts';
import { isMember } from './advance-keys.ts';
import type { Cluster } from './context.ts';
import { findNode } from './find-node.ts';
import type { AskedFreshness } from './hidden-backups.ts';
import { isUnsavedLife, refuseOlderLife } from './newer-life.ts';
import { readCatalog, type Catalog } from './read-catalog.ts';
import { seeCatalog } from './see-catalog.ts';
import { refuseUnseenRepository } from './used-repository.ts';

export interface NamedNode {
  readonly nodeId: NodeId;
  readonly name: string;
  readonly site: string | null;
}

/** What new keys do, and what they cannot undo. */
export interface KeyChangePlan {
  /** Chunks are not shared across epochs: what the next backup stores, by the size of the newest one. */
  readonly nextBackupBytes: number;
  /** Every host that stays, and has to seal its credential anew. */
  readonly toReseal: readonly NamedNode[];
  /** This database has not backed up since a restore or an import began its life: it may be a try, and another the live one. */
  readonly isUnsavedLife: boolean;
}

export interface EvictionPlan extends KeyChangePlan {
  readonly node: NamedNode;
  /** It was evicted before; what an interruption left to do is done. */
  readonly alreadyEvicted: boolean;
  /** What the host can go on opening with a copy of its disk: nothing takes that back. */
  readonly stillOpens: {
    readonly epochs: readonly number[];
    readonly backups: readonly BackupId[];
    /** What stood in the database while the host could open it: replace these. */
    readonly secrets: Secrets;
  };
}

export async function planRotation(cluster: Cluster, asked: AskedFreshness = {}): Promise<KeyChangePlan> {
  const { keyring } = cluster;
  await refuseUnseenRepository(cluster, asked);
  const catalog = await catalogOf(cluster);
  if (catalog !== undefined) await refuseOlderLife(cluster, catalog);
  const newest = catalog?.backups.find(({ entry }) => entry.authentic === true)?.entry;
  return {
    nextBackupBytes: newest?.storedBytes ?? 0,
    toReseal: keyring.membership.nodes.map(named),
    isUnsavedLife: catalog !== undefined && (await isUnsavedLife(cluster, catalog)),
  };
}

/** `node`: id or name. Throws `not-found`; `usage` for a name that several hosts have; `not-permitted` for this host and the last one. */
export async function planEviction(cluster: Cluster, node: string, asked: AskedFreshness = {}): Promise<EvictionPlan> {
  const { keyring, database } = cluster;
  const chosen = await findMemberOrFormer(cluster, node);
  refuseOwnAndLast(keyring, chosen);
  if (isMember(keyring, chosen.nodeId)) await refuseUnseenRepository(cluster, asked);
  const epochs = epochsWrappedTo(keyring, chosen.nodeId);
  const catalog = await catalogOf(cluster);
  if (catalog !== undefined && isMember(keyring, chosen.nodeId)) await refuseOlderLife(cluster, catalog);
  const authentic = catalog?.backups.map(({ entry }) => entry).filter((entry) => entry.authentic === true) ?? [];
  const backups = authentic.filter((entry) => entry.epochs.every((epoch) => epochs.includes(epoch)));
  return {
    node: chosen,
    alreadyEvicted: !isMember(keyring, chosen.nodeId),
    stillOpens: { epochs, backups: backups.map(({ id }) => id), secrets: await listSecrets(database.queries) },
    nextBackupBytes: authentic[0]?.storedBytes ?? 0,
    toReseal: keyring.membership.nodes.filter(({ nodeId }) => nodeId !== chosen.nodeId).map(named),
    isUnsavedLife: catalog !== undefined && (await isUnsavedLife(cluster, catalog)),
  };
}

async function catalogOf(cluster: Cluster): Promise<Catalog | undefined> {
  const { store, keyring } = cluster;
  return store && (await seeCatalog(cluster, () => readCatalog(store, keyring))).catalog;
}

/** Members first: a name may be that of a host which was evicted earlier, too. */
async function findMemberOrFormer({ keyring, database }: Cluster, wanted: string): Promise<NamedNode> {
  const { nodes } = keyring.membership;
  if (nodes.some(({ nodeId, name }) => nodeId === wanted || name === wanted)) return named(findNode(nodes, wanted));
  const former = (await listNodes(database.queries)).filter(({ nodeId }) => !isMember(keyring, nodeId));
  return named(findNode(former, wanted));
}

export function refuseOwnAndLast(keyring: OpenedKeyring, { nodeId, name }: NamedNode): void {
  const { nodes } = keyring.membership;
  if (nodes.length === 1 && isMember(keyring, nodeId)) {
    throw new EnclaveManagerError(
      'not-permitted',
      `${name} is the last host of the cluster: without it nothing opens`,
      {
        hint: 'Enrol another host first (node invite), then evict this one from there.',
      },
    );
  }
  if (nodeId !== keyring.nodeId) return;
  throw new EnclaveManagerError('not-permitted', `${name} is this host, which cannot evict itself`, {
    hint: 'Run node evict on another enrolled host; node list shows them.',
  });
}

/** By every credential that the node ever had. */
function epochsWrappedTo(keyring: OpenedKeyring, nodeId: NodeId): number[] {
  const epochs = keyring.documents.flatMap(({ path }) => {
    const place = parseKeyringPath(path);
    return place?.type === 'slot' && place.nodeId === nodeId ? [place.epoch] : [];
  });
  return [...new Set(epochs)].toSorted((a, b) => a - b);
}

const named = ({ nodeId, name, site }: NamedNode): NamedNode => ({ nodeId, name, site });
