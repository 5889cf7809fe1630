import type { OpenedKeyring } from '#keys/keyring.ts';
import type { LocalState } from '#ports/local-state.ts';

/** Raises this host's high-water mark, by which it later notices that newer backups were hidden from it. */
export async function rememberSequence(
  cluster: { readonly keyring: OpenedKeyring; readonly localState: LocalState },
  sequence: number,
): Promise<void> {
  const state = await cluster.localState.read();
  if (state === undefined || state.clusterId !== cluster.keyring.clusterId) return;
  const highestSequence = Math.max(state.highestSequence, sequence);
  const clusterKey = cluster.keyring.fingerprint;
  if (highestSequence === state.highestSequence && clusterKey === state.clusterKey) return;
  await cluster.localState.write({ ...state, highestSequence, clusterKey });
}

/** The highest sequence this host has seen of its cluster: a repository that was lost or emptied does not begin at 1 again. */
export async function rememberedSequence({
  keyring,
  localState,
}: {
  readonly keyring: OpenedKeyring;
  readonly localState: LocalState;
}): Promise<number> {
  const state = await localState.read();
  return state?.clusterId === keyring.clusterId ? state.highestSequence : 0;
}
