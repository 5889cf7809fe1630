import { EnclaveManagerError, isEnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { backupsPrefix, condemnedPrefix, markerPath, verificationsPrefix } from '#format/layout.ts';
import type { OpenedKeyring } from '#keys/keyring.ts';
import { sha256Hex } from '#keys/keyring-entry.ts';
import { maxAcceptedPast } from '#keys/payloads.ts';
import { documentLimits, type DocumentType } from '#keys/signed-document.ts';
import type { ObjectStore } from '#ports/object-store.ts';
import type { OperationContext } from './context.ts';
import { listBounded } from './list-bounded.ts';
import { refuseNewer } from './refuse-newer.ts';

const places: readonly { readonly prefix: string; readonly type: DocumentType }[] = [
  { prefix: markerPath, type: 'marker' },
  { prefix: backupsPrefix, type: 'manifest' },
  { prefix: verificationsPrefix, type: 'verification' },
  { prefix: condemnedPrefix, type: 'condemned' },
];

/**
 * Digests of everything that the cluster has signed until now and that still counts: what later generations accept of the
 * earlier ones. Whatever is forgotten here is lost, so a store that does not answer ends it, and so does what a newer version
 * of the program signed.
 */
export async function readAcceptedPast(
  context: OperationContext,
  store: ObjectStore | undefined,
  keyring: OpenedKeyring,
): Promise<string[]> {
  const digests = new Set(keyring.documents.map(({ bytes }) => sha256Hex(bytes)));
  if (store !== undefined) {
    for (const place of places) {
      for await (const digest of authenticIn(context, store, keyring, place)) digests.add(digest);
    }
  }
  if (digests.size <= maxAcceptedPast) return [...digests];
  throw new EnclaveManagerError(
    'configuration',
    `the cluster has ${digests.size} signed documents, more than the ${maxAcceptedPast} that new keys can accept`,
    { hint: 'Prune old backups first: backup prune.' },
  );
}

async function* authenticIn(
  context: OperationContext,
  store: ObjectStore,
  keyring: OpenedKeyring,
  { prefix, type }: (typeof places)[number],
): AsyncGenerator<string> {
  for await (const { key } of listBounded(store, prefix)) {
    context.signal.throwIfAborted();
    let bytes: Buffer | undefined;
    try {
      bytes = await store.get(key, { maxBytes: documentLimits[type] });
      if (bytes === undefined) continue;
      keyring.verify(type, bytes);
      yield sha256Hex(bytes);
    } catch (error) {
      if (!isEnclaveManagerError(error, 'damaged', 'forged', 'version-incompatible')) throw error;
      if (error.code === 'version-incompatible') refuseNewer(keyring, type, key, bytes);
      context.progress.note(`${key} does not count with the new keys: ${error.message}`);
    }
  }
}
