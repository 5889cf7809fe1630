import { EnclaveManagerError, isEnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { openKeyring, requireMember, type KeyringDocument, type OpenedKeyring } from '#keys/keyring.ts';
import { distinctDocuments } from '#keys/keyring-entry.ts';
import type { Database } from '#ports/database.ts';
import { readOwnCluster, type ClusterRow } from '#store/cluster.ts';
import { readKeyringDocuments, saveKeyringDocuments } from '#store/keyring-documents.ts';
import { schemaVersion } from '#store/migrate.ts';
import { loadMigrations } from '#store/migrations.ts';
import type { Host, OperationContext } from './context.ts';
import { readOwner } from './repository-owner.ts';

/**
 * Opens a database that does not serve yet, from itself alone, by what every command opens the live one with. Throws as that
 * does, and `rows-differ` where it does not lead to these keys.
 */
export async function openAsEverybody(
  context: OperationContext,
  host: Host,
  database: Database,
  { fingerprint, membership, newestEpoch }: OpenedKeyring,
): Promise<void> {
  const row = await readOwnCluster(database.queries);
  if (row === undefined) throw new EnclaveManagerError('not-found', `the database "${database.name}" holds no cluster`);
  await checkSchemaIsCurrent(database);
  const opened = await openClusterKeyring(context, { database, row, inRepository: [] }, host, fingerprint);
  if (opened.membership.number >= membership.number && opened.newestEpoch === newestEpoch) return;
  throw new EnclaveManagerError(
    'rows-differ',
    `the restored database "${database.name}" does not hold the newest keys`,
  );
}

/** Documents come from database and repository together: either may have lost some, or miss the newest. */
export async function openClusterKeyring(
  context: OperationContext,
  found: {
    readonly database: Database;
    readonly row: ClusterRow;
    readonly inRepository: readonly KeyringDocument[];
  },
  host: Host,
  clusterKey: string | undefined,
): Promise<OpenedKeyring> {
  const { database, row, inRepository } = found;
  const inDatabase = await readKeyringDocuments(database.queries);
  const keyring = await openOwn(context, host, distinctDocuments([...inDatabase, ...inRepository]), {
    ...row,
    clusterKey,
  });
  if (keyring.clusterId !== row.clusterId) {
    throw new EnclaveManagerError(
      'forged',
      `the keys in database "${database.name}" are of cluster ${keyring.clusterId}, its rows of cluster ${row.clusterId}`,
    );
  }
  requireMember(keyring);
  await database.transaction(async (queries) => await saveKeyringDocuments(queries, keyring.documents));
  return keyring;
}

/**
 * Documents of another cluster that this host belongs to as well, put among ours, stop nothing: this host remembers which
 * cluster is meant, or remembers none and the repository's marker names the one that the database does. What the database says
 * alone would not do.
 */
async function openOwn(
  context: OperationContext,
  { sealing, localState, store }: Host,
  documents: readonly KeyringDocument[],
  { clusterId, clusterKey }: ClusterRow & { readonly clusterKey: string | undefined },
): Promise<OpenedKeyring> {
  try {
    return await openKeyring(documents, sealing, { clusterKey });
  } catch (error) {
    if (!isEnclaveManagerError(error, 'repository-foreign')) throw error;
    const meant = (await localState.read())?.clusterId ?? (store && (await readOwner(store).catch(() => undefined)));
    if (meant !== clusterId) throw error;
    context.progress.note(`warning: ${error.message} Those of cluster ${clusterId} are used.`);
    return await openKeyring(documents, sealing, { clusterId, clusterKey });
  }
}

export async function checkSchemaIsCurrent(database: Database): Promise<void> {
  const version = await schemaVersion(database);
  const newest = loadMigrations().length;
  if (version === newest) return;
  const hint =
    version < newest
      ? 'Bring it forward: database migrate, or start the manager.'
      : 'Use the release that wrote it, or a newer one.';
  throw new EnclaveManagerError(
    'version-incompatible',
    `database "${database.name}" has schema version ${version}; this program works with ${newest}`,
    { hint },
  );
}
