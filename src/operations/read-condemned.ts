import { EnclaveManagerError, isEnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { openCondemned, type Condemned } from '#format/condemned.ts';
import { condemnedPrefix, parseCondemnedPath } from '#format/layout.ts';
import type { OpenedKeyring } from '#keys/keyring.ts';
import { documentLimits } from '#keys/signed-document.ts';
import type { ObjectStore } from '#ports/object-store.ts';
import { listBounded } from './list-bounded.ts';
import { refuseNewer } from './refuse-newer.ts';

/** A condemned document as it lies in the repository. */
export interface StoredCondemned extends Condemned {
  readonly path: string;
  /** By the store's clock. */
  readonly modifiedAt: Date;
}

export interface CondemnedDocuments {
  readonly documents: readonly StoredCondemned[];
  /** What lies there and condemns nothing; each a sentence. */
  readonly rejected: readonly string[];
}

/**
 * What prune has recorded to delete. A document that this cluster did not sign condemns nothing; one that a newer version of the
 * program signed throws `version-incompatible`.
 */
export async function readCondemned(store: ObjectStore, keyring: OpenedKeyring): Promise<CondemnedDocuments> {
  const documents: StoredCondemned[] = [];
  const rejected: string[] = [];
  for await (const { key, modifiedAt } of listBounded(store, condemnedPrefix)) {
    let bytes: Buffer | undefined;
    try {
      const id = parseCondemnedPath(key);
      if (id === undefined) throw new EnclaveManagerError('forged', 'not the name of a condemned document');
      bytes = await store.get(key, { maxBytes: documentLimits.condemned });
      if (bytes !== undefined) documents.push({ ...openCondemned(keyring, id, bytes), path: key, modifiedAt });
    } catch (error) {
      if (!isEnclaveManagerError(error, 'damaged', 'forged', 'version-incompatible')) throw error;
      if (error.code === 'version-incompatible') refuseNewer(keyring, 'condemned', key, bytes);
      rejected.push(`${key} condemns nothing: ${error.message}`);
    }
  }
  return { documents, rejected };
}

export const condemnedNames = ({ documents }: CondemnedDocuments): ReadonlySet<string> =>
  new Set(documents.flatMap(({ objects }) => objects));
