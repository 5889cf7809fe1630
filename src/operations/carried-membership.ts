import { isEnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { manifestPath } from '#format/layout.ts';
import { readManifestSummary } from '#format/manifest.ts';
import { openKeyring, type KeyringDocument, type OpenedKeyring } from '#keys/keyring.ts';
import { sha256Hex } from '#keys/keyring-entry.ts';
import { documentLimits } from '#keys/signed-document.ts';
import type { ObjectStore } from '#ports/object-store.ts';
import type { Sealing } from '#ports/sealing.ts';
import type { Catalog } from './read-catalog.ts';

/**
 * The newest backup carries the keyring of its time: who was a member then stays one, where memberships were lost or deleted
 * since.
 */
export async function withCarriedMembership(
  store: ObjectStore,
  keyring: OpenedKeyring,
  { backups: [newest] }: Pick<Catalog, 'backups'>,
  sealing: Sealing,
): Promise<OpenedKeyring> {
  if (newest === undefined) return keyring;
  const bytes = await store.get(manifestPath(newest.entry.id), { maxBytes: documentLimits.manifest });
  if (bytes === undefined) return keyring;
  return await withLaterMembership(keyring, readManifestSummary(bytes).keyring, sealing);
}

/**
 * The keyring with these documents as well, where an authentic later membership is among them. Where they contradict it, as
 * after a fork, it stays as it is: both sides can be restored.
 */
export async function withLaterMembership(
  keyring: OpenedKeyring,
  documents: readonly KeyringDocument[],
  sealing: Sealing,
): Promise<OpenedKeyring> {
  const known = new Set(keyring.documents.map(({ bytes }) => sha256Hex(bytes)));
  const others = documents.filter(({ bytes }) => !known.has(sha256Hex(bytes)));
  if (others.length === 0) return keyring;
  const { clusterId, fingerprint: clusterKey, seen } = keyring;
  try {
    const together = await openKeyring([...keyring.documents, ...others], sealing, { clusterId, clusterKey, seen });
    const isLater = together.membership.number > keyring.membership.number;
    return isLater && together.fingerprint === clusterKey ? together : keyring;
  } catch (error) {
    if (isEnclaveManagerError(error, 'forged')) return keyring;
    throw error;
  }
}
