import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { manifestPath } from '#format/layout.ts';
import { openManifest, type Manifest, type TableManifest } from '#format/manifest.ts';
import type { OpenedKeyring } from '#keys/keyring.ts';
import { documentLimits } from '#keys/signed-document.ts';
import type { BackupId } from '#model/identifiers.ts';
import type { StoredChunk } from '#pipeline/worker-protocol.ts';
import type { ObjectStore } from '#ports/object-store.ts';

/** Reads, authenticates and opens a manifest. Throws `not-found`, `damaged`, `forged`, `no-key`. */
export async function readManifest(store: ObjectStore, keyring: OpenedKeyring, id: BackupId): Promise<Manifest> {
  const bytes = await store.get(manifestPath(id), { maxBytes: documentLimits.manifest });
  if (bytes === undefined) throw new EnclaveManagerError('not-found', `there is no backup ${id} in ${store.location}`);
  return openManifest(keyring, id, bytes);
}

/** The chunks of a table in their order, each with the object that the manifest names for it. */
export function storedChunks(manifest: Manifest, table: TableManifest): StoredChunk[] {
  const byId = new Map(manifest.objects.map((object) => [object.name.slice(0, object.name.indexOf('.')), object]));
  return table.chunks.map((chunk) => {
    const object = byId.get(chunk.id);
    if (object === undefined)
      throw new EnclaveManagerError(
        'damaged',
        `the manifest names no object for chunk ${chunk.id} of table "${table.name}"`,
      );
    return { ...chunk, object };
  });
}

/** Every chunk that the backup needs, once. */
export function distinctChunks(manifest: Manifest): StoredChunk[] {
  const chunks = manifest.tables.flatMap((table) => storedChunks(manifest, table));
  return [...new Map(chunks.map((chunk) => [chunk.id, chunk])).values()];
}
