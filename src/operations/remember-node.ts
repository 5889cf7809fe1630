import type { OpenedKeyring } from '#keys/keyring.ts';
import type { LocalState } from '#ports/local-state.ts';
import type { Sealing } from '#ports/sealing.ts';

/** Notes on this host which node it is; keeps the high-water mark of the same cluster. */
export async function rememberNode(
  cluster: { readonly keyring: OpenedKeyring; readonly localState: LocalState },
  sealing: Pick<Sealing, 'provider'>,
): Promise<void> {
  const { keyring, localState } = cluster;
  const before = await localState.read();
  const { clusterId, nodeId, credentialId, fingerprint } = keyring;
  const highestSequence = before?.clusterId === clusterId ? before.highestSequence : 0;
  const state = {
    clusterId,
    nodeId,
    credentialId,
    sealingProvider: sealing.provider,
    clusterKey: fingerprint,
    highestSequence,
  };
  if (JSON.stringify(state) !== JSON.stringify(before)) await localState.write(state);
}
