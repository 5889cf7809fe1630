import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { parseManifestPath, parseVerificationPath } from '#format/layout.ts';
import type { OpenedKeyring } from '#keys/keyring.ts';
import { documentLimits, type DocumentType } from '#keys/signed-document.ts';
import type { ObjectStore } from '#ports/object-store.ts';
import type { Catalog } from './read-catalog.ts';

/**
 * Throws `version-incompatible` for a document that this program cannot read because a newer version of it wrote it, and that
 * the cluster signed: whoever went on as if it were not there would undo what it says. What nobody signed stops nothing.
 */
export function refuseNewer(keyring: OpenedKeyring, type: DocumentType, path: string, bytes: Buffer | undefined): void {
  if (bytes === undefined || !keyring.isNewerOfCluster(type, bytes)) return;
  throw new EnclaveManagerError(
    'version-incompatible',
    `a newer version of this program wrote ${path}; nothing was done`,
    { hint: 'Use that version, on every host of the cluster.' },
  );
}

/** The same for every manifest and verification that the catalogue set aside as newer. */
export async function refuseNewerIn(
  store: ObjectStore,
  keyring: OpenedKeyring,
  { rejected }: Pick<Catalog, 'rejected'>,
): Promise<void> {
  for (const { path, code } of rejected) {
    if (code !== 'version-incompatible') continue;
    const type = typeAt(path);
    if (type === undefined) continue;
    refuseNewer(keyring, type, path, await store.get(path, { maxBytes: documentLimits[type] }));
  }
}

/** Throws where this user may not read a document: it may be the newest backup, and the next would take its sequence. */
export function refuseUnreadable({ rejected }: Pick<Catalog, 'rejected'>): void {
  const unreadable = rejected.find(({ code }) => code === 'configuration');
  if (unreadable !== undefined) throw new EnclaveManagerError(unreadable.code, unreadable.reason);
}

function typeAt(path: string): 'manifest' | 'verification' | undefined {
  if (parseManifestPath(path) !== undefined) return 'manifest';
  return parseVerificationPath(path) === undefined ? undefined : 'verification';
}
