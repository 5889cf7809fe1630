import { isEnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { parseManifestPath } from '#format/layout.ts';
import { readManifestSummary, type ObjectReference } from '#format/manifest.ts';
import type { OpenedKeyring } from '#keys/keyring.ts';
import { documentLimits } from '#keys/signed-document.ts';
import type { ObjectStore } from '#ports/object-store.ts';
import type { Rejected } from './read-record.ts';

/** A manifest that an earlier generation of the cluster key signed and the newest does not accept. */
export interface DisownedManifest {
  readonly path: string;
  readonly objects: readonly ObjectReference[];
}

/** A cluster leaves one for each backup that stood still while the keys changed. */
const maxDisowned = 100;

/**
 * Sorts what the catalogue rejected. A disowned manifest is no backup and never becomes one, so it need not be understood
 * before others are removed; all else may be a backup that is damaged.
 */
export async function sortRejected(
  store: ObjectStore,
  keyring: OpenedKeyring,
  rejected: readonly Rejected[],
): Promise<{ readonly disowned: readonly DisownedManifest[]; readonly unreadable: readonly Rejected[] }> {
  const disowned: DisownedManifest[] = [];
  const unreadable: Rejected[] = [];
  for (const each of rejected) {
    const found = disowned.length < maxDisowned ? await readDisowned(store, keyring, each) : undefined;
    if (found === undefined) unreadable.push(each);
    else disowned.push(found);
  }
  return { disowned, unreadable };
}

async function readDisowned(
  store: ObjectStore,
  keyring: OpenedKeyring,
  { path, code }: Rejected,
): Promise<DisownedManifest | undefined> {
  const id = parseManifestPath(path);
  if (code !== 'forged' || id === undefined) return undefined;
  try {
    const bytes = await store.get(path, { maxBytes: documentLimits.manifest });
    if (bytes === undefined || !keyring.isDisowned('manifest', bytes)) return undefined;
    const { summary, objects } = readManifestSummary(bytes);
    return summary.id === id ? { path, objects } : undefined;
  } catch (error) {
    if (isEnclaveManagerError(error, 'damaged', 'forged', 'version-incompatible')) return undefined;
    throw error;
  }
}
