import type { OpenedKeyring } from '#keys/keyring.ts';
import type { LocalState } from '#ports/local-state.ts';
import { leadsToMemory, memoryOf } from './remember-node.ts';

/**
 * Raises this host's high-water mark, by which it later notices that newer backups were hidden from it. Where another process
 * has learnt meanwhile of keys that this keyring does not lead to, what was read with it is no measure.
 */
export async function rememberSequence(
  { keyring, localState }: { readonly keyring: OpenedKeyring; readonly localState: LocalState },
  sequence: number,
): Promise<void> {
  await localState.update((before) => {
    if (before === undefined || !leadsToMemory(keyring, before)) return before;
    const highestSequence = Math.max(before.highestSequence, sequence);
    return { ...before, highestSequence, clusterKey: keyring.fingerprint };
  });
}

/** The highest sequence this host has seen of its cluster: a repository that was lost or emptied does not begin at 1 again. */
export async function rememberedSequence({
  keyring,
  localState,
}: {
  readonly keyring: OpenedKeyring;
  readonly localState: LocalState;
}): Promise<number> {
  return memoryOf(keyring, await localState.read())?.highestSequence ?? 0;
}
