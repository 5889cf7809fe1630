import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { keyringPrefix } from '#format/layout.ts';
import type { OpenedKeyring } from '#keys/keyring.ts';
import { parseKeyringPath } from '#keys/keyring-paths.ts';
import type { Database } from '#ports/database.ts';
import type { ObjectStore } from '#ports/object-store.ts';
import { readKeyringDocuments } from '#store/keyring-documents.ts';

/**
 * Keys that were opened a while ago may have been replaced since, and what is signed with the old ones then counts nowhere.
 * Throws `lease-held` when somebody changed them. Call it where nobody can change them any more: under the lease.
 */
export async function requireCurrentKeys(
  keyring: OpenedKeyring,
  { database, store }: { readonly database?: Database; readonly store?: ObjectStore | undefined },
): Promise<void> {
  const paths: string[] = [];
  if (database !== undefined) {
    for (const { path } of await readKeyringDocuments(database.queries)) paths.push(path);
  }
  if (store !== undefined) for await (const { key } of store.list(`${keyringPrefix}epochs/`)) paths.push(key);
  const known = new Set(keyring.rejected.map(({ path }) => path));
  const newer = paths.some((path) => {
    const place = parseKeyringPath(path);
    return place?.type === 'epoch' && place.epoch > keyring.newestEpoch && !known.has(path);
  });
  if (!newer) return;
  throw new EnclaveManagerError('lease-held', 'the keys of the cluster were changed meanwhile; nothing was done', {
    hint: 'Run the command again: it then uses the new keys.',
  });
}
