import type { OpenedKeyring } from '#keys/keyring.ts';
import type { NodeId } from '#model/identifiers.ts';
import { beginAdvance, finishAdvance, isAdvanceUnderWay } from './advance-keys.ts';
import type { AskedFreshness } from './hidden-backups.ts';
import type { Cluster, Host, OperationContext } from './context.ts';
import { withKeyFence } from './key-fence.ts';
import { reopenCluster } from './open-cluster.ts';
import type { NamedNode } from './plan-key-change.ts';
import { tendKeysIfPossible } from './tend-keys.ts';

/** The keys as they are after a change. */
export interface KeyChange {
  readonly clusterId: string;
  /** Fingerprint of the new cluster key: recovery lines from before name the old one. */
  readonly clusterKey: string;
  readonly keyGeneration: number;
  readonly epoch: number;
  readonly membershipNumber: number;
  /** Hosts that have not sealed their credential anew: until each has, the change is not complete. */
  readonly waitingFor: readonly NamedNode[];
}

/**
 * The step that eviction and rotation share. First finishes what somebody left half done; then, where `decide` still wants
 * it, makes new keys for everybody but the nodes it names. Safe to repeat, also from another host.
 */
export async function changeKeys(
  context: OperationContext,
  host: Host,
  cluster: Cluster,
  decide: (keyring: OpenedKeyring, resumed: boolean) => readonly NodeId[] | undefined,
  accepted: AskedFreshness,
): Promise<KeyChange> {
  const changed = await withKeyFence(context, cluster.database, 'everything', async (inner, fence) => {
    let opened = await reopenCluster(inner, host, cluster);
    const resumed = isAdvanceUnderWay(opened.keyring);
    if (resumed) opened = await finishAdvance(inner, host, opened, fence);
    const evicted = decide(opened.keyring, resumed);
    if (evicted === undefined) return opened;
    await beginAdvance(inner, opened, { evicted, accepted }, fence);
    return await finishAdvance(inner, host, await reopenCluster(inner, host, opened), fence);
  });
  return keyChangeOf((await tendKeysIfPossible(context, host, changed)).keyring);
}

function keyChangeOf(keyring: OpenedKeyring): KeyChange {
  const { clusterId, fingerprint: clusterKey, keyGeneration, membership } = keyring;
  const { currentEpoch: epoch, number: membershipNumber } = membership;
  return { clusterId, clusterKey, keyGeneration, epoch, membershipNumber, waitingFor: notResealed(keyring) };
}

export interface KeyChangeUnderWay {
  /** Somebody was killed in the middle; whoever opens the cluster next finishes it. */
  readonly interrupted: boolean;
  readonly waitingFor: NamedNode[];
}

/** What an eviction or a rotation still waits for; `null` when it is complete. */
export function keyChangeUnderWay(keyring: OpenedKeyring): KeyChangeUnderWay | null {
  const interrupted = isAdvanceUnderWay(keyring);
  const waitingFor = notResealed(keyring);
  return interrupted || waitingFor.length > 0 ? { interrupted, waitingFor } : null;
}

/** Members whose credential is of an earlier key generation. */
function notResealed({ membership, keyGeneration, credentialGeneration }: OpenedKeyring): NamedNode[] {
  return membership.nodes
    .filter(({ nodeId }) => credentialGeneration(nodeId) !== keyGeneration)
    .map(({ nodeId, name, site }) => ({ nodeId, name, site }));
}
