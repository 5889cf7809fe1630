import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { keyringPrefix } from '#format/layout.ts';
import type { KeyringDocument, OpenedKeyring } from '#keys/keyring.ts';
import { parseKeyringPath } from '#keys/keyring-paths.ts';
import { documentLimits } from '#keys/signed-document.ts';
import { couldReplaceKeysOf, firstReplaceableEpoch } from '#keys/succession.ts';
import type { Database } from '#ports/database.ts';
import type { ObjectStore } from '#ports/object-store.ts';
import { readKeyringDocuments } from '#store/keyring-documents.ts';
import { damagedAsAbsent } from './damaged-as-absent.ts';
import { listBounded } from './list-bounded.ts';

/**
 * Keys that were opened a while ago may have been replaced since, and what is signed with the old ones then counts nowhere.
 * Throws `lease-held` when somebody changed them. Call it where nobody can change them any more: under the lease.
 */
export async function requireCurrentKeys(
  keyring: OpenedKeyring,
  { database, store }: { readonly database?: Database; readonly store?: ObjectStore | undefined },
): Promise<void> {
  const inDatabase = database === undefined ? [] : await readKeyringDocuments(database.queries);
  const changed = inDatabase.some((document) => couldReplaceKeysOf(keyring, document));
  if (!changed && (store === undefined || !(await changedInRepository(keyring, store)))) return;
  throw new EnclaveManagerError('lease-held', 'the keys of the cluster were changed meanwhile; nothing was done', {
    hint: 'Run the command again: it then uses the new keys.',
  });
}

async function changedInRepository(keyring: OpenedKeyring, store: ObjectStore): Promise<boolean> {
  for await (const { key } of listBounded(store, `${keyringPrefix}epochs/`)) {
    const place = parseKeyringPath(key);
    if (place?.type !== 'epoch' || place.epoch < firstReplaceableEpoch(keyring)) continue;
    const document = await readDocument(store, key);
    if (document !== undefined && couldReplaceKeysOf(keyring, document)) return true;
  }
  return false;
}

/** What is larger than any such document is none. */
async function readDocument(store: ObjectStore, path: string): Promise<KeyringDocument | undefined> {
  const bytes = await store.get(path, { maxBytes: documentLimits.epoch }).catch(damagedAsAbsent);
  return bytes && { path, bytes };
}
