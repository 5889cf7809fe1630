import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { openManifest, readManifestSummary, type Manifest } from '#format/manifest.ts';
import { openKeyring, type OpenedKeyring } from '#keys/keyring.ts';
import { distinctDocuments } from '#keys/keyring-entry.ts';
import type { Database } from '#ports/database.ts';
import type { ObjectStore } from '#ports/object-store.ts';
import type { ImportMarker } from '#store/import-marker.ts';
import { readKeyringDocuments } from '#store/keyring-documents.ts';
import { checkSchema } from './load-backup.ts';
import { filledRepository } from './adopt-repository.ts';
import { checkMarker } from './check-marker.ts';
import type { Host } from './context.ts';
import { incompleteImport } from './find-import.ts';
import { readKeyringDocuments as readRepositoryDocuments } from './open-repository.ts';
import { refuseLaterKeys } from './later-keys.ts';
import { readCatalog, type Catalog } from './read-catalog.ts';

/** An import whose backup is proved to be this cluster's. Nothing is known about its rows. */
export interface OpenedImport {
  readonly marker: ImportMarker;
  readonly manifest: Manifest;
  readonly keyring: OpenedKeyring;
  /** `undefined` where there is none, or an empty one: the rows cannot be compared then. */
  readonly repository: { readonly store: ObjectStore; readonly catalog: Catalog } | undefined;
}

/**
 * Opens the keys with this host's hardware, from everything that database, manifest and repository hold together, so that
 * membership and generation are the newest authentic ones; then the manifest. Writes nothing.
 *
 * Throws `import-pending` for a replay that has not ended, `no-key`, `not-permitted`, `forged`, `damaged`,
 * `repository-foreign`, `repository-unreachable`, `version-incompatible`.
 */
export async function openImport(
  { store, sealing, server }: Host,
  database: Database,
  marker: ImportMarker,
  options: { readonly clusterKey?: string } = {},
): Promise<OpenedImport> {
  const where = `the database "${server.liveName}" at ${server.location}`;
  if (marker.state === 'begun') throw incompleteImport('an export', where);
  const { summary, keyring: copies } = readManifestSummary(marker.manifest);
  const filled = await filledRepository(store);
  const documents = distinctDocuments([
    ...(filled === undefined ? [] : await readRepositoryDocuments(filled)),
    ...(await readKeyringDocuments(database.queries)),
    ...copies,
  ]);
  const keyring = await openKeyring(documents, sealing, options);
  if (!keyring.isMember) throw evicted(keyring);
  const manifest = openManifest(keyring, summary.id, marker.manifest);
  checkSchema(manifest);
  if (filled === undefined) return { marker, manifest, keyring, repository: undefined };
  await checkMarker(filled, keyring);
  const catalog = await readCatalog(filled, keyring);
  await refuseLaterKeys(filled, keyring, catalog);
  return { marker, manifest, keyring, repository: { store: filled, catalog } };
}

/** Or it is being evicted: the new keys are committed and leave it out. */
function evicted({ nodeId, membership }: OpenedKeyring): EnclaveManagerError {
  const members = membership.nodes.filter((node) => node.nodeId !== nodeId).map(({ name }) => name);
  return new EnclaveManagerError(
    'not-permitted',
    `this host's node ${nodeId} is not a member of the cluster any more; the hosts that are, by membership ${membership.number}: ${members.join(', ')}`,
  );
}
