import { isEnclaveManagerError } from '#errors/enclave-manager-error.ts';
import type { OpenedKeyring } from '#keys/keyring.ts';
import type { LocalState } from '#ports/local-state.ts';
import type { ObjectStore } from '#ports/object-store.ts';
import { refuseLaterKeys } from './later-keys.ts';
import type { Catalog } from './read-catalog.ts';
import { memoryOf } from './remember-node.ts';
import { rememberedSequence } from './remember-sequence.ts';

interface Looking {
  readonly keyring: OpenedKeyring;
  readonly localState: LocalState;
  readonly store?: ObjectStore | undefined;
}

export interface SeenCatalog<Read extends Catalog> {
  readonly catalog: Read;
  /** The highest sequence that this host had seen before: where the catalogue shows less, backups are missing. */
  readonly existed: number;
}

/**
 * Reads the catalogue with keys of a host that has a memory. Whoever only looks has seen it too: a host that takes no backups
 * would otherwise believe whatever is left of them. Throws `forged` where newer keys come to light.
 */
export async function seeCatalog<Read extends Catalog>(
  host: Looking,
  read: () => Promise<Read>,
): Promise<SeenCatalog<Read>> {
  // Before: what another process of this host sees meanwhile is not missing.
  const existed = await rememberedSequence(host);
  const catalog = await read();
  if (host.store !== undefined) await refuseLaterKeys(host.store, host.keyring, catalog);
  await noteSeen(host, catalog);
  return { catalog, existed };
}

/**
 * Raises the mark of this host. Not by keys that it has not come to trust: a newer one that nothing vouches for could be that of
 * a host which was evicted. Where nothing can be written, what only looks goes on.
 */
export async function noteSeen({ keyring, localState }: Looking, { highestSequence }: Catalog): Promise<void> {
  try {
    await localState.update((before) => {
      const remembered = memoryOf(keyring, before);
      if (remembered === undefined || remembered.clusterKey !== keyring.fingerprint) return before;
      return { ...remembered, highestSequence: Math.max(remembered.highestSequence, highestSequence) };
    });
  } catch (error) {
    if (!isEnclaveManagerError(error, 'configuration', 'no-space', 'data-directory-in-use')) throw error;
  }
}
