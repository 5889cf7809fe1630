import type { OpenedKeyring } from '#keys/keyring.ts';
import type { LocalState, NodeState } from '#ports/local-state.ts';
import type { Sealing } from '#ports/sealing.ts';
import { ofAnotherCluster } from './hold-to-memory.ts';

/**
 * Notes on this host which node it is, and the cluster key, which only ever becomes one that follows the remembered one:
 * where another process has learnt of a newer one meanwhile, that one stays. The high-water marks of the cluster are kept.
 *
 * `against` is what was remembered when a person decided for this keyring: where it is that still, it gives way. Otherwise
 * throws `repository-foreign` where this host belongs to another cluster.
 */
export async function rememberNode(
  { keyring, localState }: { readonly keyring: OpenedKeyring; readonly localState: LocalState },
  { provider: sealingProvider }: Pick<Sealing, 'provider'>,
  { against }: { readonly against?: NodeState | undefined } = {},
): Promise<void> {
  const { clusterId, nodeId, credentialId, fingerprint: clusterKey } = keyring;
  await localState.update((before) => {
    const isSame = before?.clusterId === clusterId;
    if (before !== undefined && !givesWay(before, clusterId, against)) {
      if (!isSame) throw ofAnotherCluster(before, keyring, 'what was opened');
      if (!leadsToMemory(keyring, before)) return before;
    }
    const highestSequence = isSame ? before.highestSequence : 0;
    const highestMembership = Math.max((isSame ? before.highestMembership : 0) ?? 0, keyring.membership.number);
    const marks = { highestSequence, highestMembership, sealsLives: true as const };
    return { clusterId, nodeId, credentialId, sealingProvider, clusterKey, ...marks };
  });
}

function givesWay(before: NodeState, clusterId: string, against: NodeState | undefined): boolean {
  if (before.clusterId !== against?.clusterId) return false;
  // Who decides against a cluster does so whatever its newest key is.
  return before.clusterId !== clusterId || before.clusterKey === against.clusterKey;
}

/** Whether a keyring is of the remembered cluster, and not from before the newest key that this host has seen. */
export function leadsToMemory({ clusterId, fingerprints }: OpenedKeyring, remembered: NodeState): boolean {
  return remembered.clusterId === clusterId && fingerprints.has(remembered.clusterKey);
}

/** What a host remembers against a keyring that does not lead there; `undefined` where it does, or nothing is remembered. */
export function memoryAgainst(keyring: OpenedKeyring, remembered: NodeState | undefined): NodeState | undefined {
  return remembered === undefined || leadsToMemory(keyring, remembered) ? undefined : remembered;
}

/** For the audit log: the key that does not count any more because a person said so. */
export const givenUp = (against: NodeState | undefined): { readonly clusterKeyGivenUp?: string } =>
  against === undefined ? {} : { clusterKeyGivenUp: against.clusterKey };

/** What a host remembers of this cluster; `undefined` where it remembers none, or another. */
export function memoryOf(
  { clusterId }: Pick<OpenedKeyring, 'clusterId'>,
  remembered: NodeState | undefined,
): NodeState | undefined {
  return remembered?.clusterId === clusterId ? remembered : undefined;
}

/** The highest number of a membership that this host has seen in force, of this cluster. */
export async function rememberedMembership({
  keyring,
  localState,
}: {
  readonly keyring: OpenedKeyring;
  readonly localState: LocalState;
}): Promise<number> {
  return memoryOf(keyring, await localState.read())?.highestMembership ?? 0;
}
