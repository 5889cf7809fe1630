import { EnclaveManagerError, isEnclaveManagerError } from '#errors/enclave-manager-error.ts';
import type { KeyringDocument, OpenedKeyring } from '#keys/keyring.ts';
import { withoutPeriod } from '#model/unknown.ts';
import type { DatabaseServer } from '#ports/database.ts';
import { readCluster, requirePlausible, type ClusterRow } from '#store/cluster.ts';
import { isLifeSealed } from '#store/life-seal.ts';
import { createCluster, finishCreation } from './create-cluster.ts';
import { operationLease, type Cluster, type Host, type OperationContext } from './context.ts';
import { holdToMemory, refuseToBeginAnew } from './hold-to-memory.ts';
import { adoptOrCheckRepository, isEmptyRepository } from './adopt-repository.ts';
import { finishSwap } from './finish-swap.ts';
import { finishImport } from './finish-import.ts';
import { holdsRows, holdsRowsOfCluster } from './live-content.ts';
import { migrateUnderLease } from './migrate-under-lease.ts';
import { checkSchemaIsCurrent, openClusterKeyring } from './open-database-cluster.ts';
import { readKeyringDocuments as readRepositoryDocuments } from './open-repository.ts';
import { readLiveCluster } from './read-live-cluster.ts';
import { readOwner } from './repository-owner.ts';
import { requireSealedLife } from './require-sealed-life.ts';
import { rememberNode } from './remember-node.ts';

export interface OpenedCluster {
  readonly cluster: Cluster;
  /** `created`: there was nothing; `adopted`: the cluster took over an empty repository. */
  readonly outcome: 'opened' | 'created' | 'adopted';
}

/**
 * What `serve` does at its start: opens the cluster of the live database, or creates one where the database is empty
 * and nothing lies in the repository.
 *
 * Throws `restore-needed` for an empty database beside a filled repository, `damaged` where its tables hold rows without a cluster, `no-key` on a host that is not enrolled,
 * `repository-foreign`, `version-incompatible`, `sealing-unavailable`.
 */
export async function openOrCreateCluster(context: OperationContext, host: Host): Promise<OpenedCluster> {
  await finishSwap(context, host.server);
  const row = (await readLiveClusterOrImport(context, host)) ?? (await rowUnlessEmpty(host));
  if (row === undefined) {
    const repository = host.store === undefined ? '' : ` and ${host.store.location}`;
    await refuseToBeginAnew(host.localState, `${host.server.location}${repository}`);
    return { cluster: await createCluster(context, host), outcome: 'created' };
  }
  const cluster = await openCluster(context, host, { migrate: true });
  if (row.state === 'creating') return { cluster: await finishCreation(context, cluster, row), outcome: 'created' };
  const adopted = await adoptOrCheckRepository(context, cluster, row);
  return { cluster, outcome: adopted ? 'adopted' : 'opened' };
}

/** Longer than the lease of a manager that died. */
const migrationWaitMs = operationLease.ttlMs + 5_000;

/** Opens the cluster of the live database. Throws `restore-needed` where the database holds none, and as above. */
export async function openCluster(
  context: OperationContext,
  host: Host,
  options: {
    readonly migrate?: boolean;
    /** `false` for what must change nothing: it throws `import-pending` then. */
    readonly finishImport?: boolean;
    /** Named by a person: decides between two successors of one key, and against what this host remembers. */
    readonly clusterKey?: string;
  } = {},
): Promise<Cluster> {
  const { server, store, sealing, localState } = host;
  const remembered = await localState.read();
  await finishSwap(context, server);
  const found =
    options.finishImport === false ? await readLiveCluster(host) : await readLiveClusterOrImport(context, host);
  const row = found ?? (await rowUnlessEmpty(host));
  if (row === undefined) {
    throw new EnclaveManagerError(
      'not-found',
      `the database "${server.liveName}" at ${server.location} holds no cluster yet`,
      {
        hint: 'Start the manager once (serve): it creates the cluster.',
      },
    );
  }
  requirePlausible(row);
  const database = server.open(server.liveName);
  try {
    if (options.migrate === true) await migrateUnderLease(context, database, { waitMs: migrationWaitMs });
    else await checkSchemaIsCurrent(database);
    const inRepository = await documentsInRepository(context, host, row);
    const { clusterKey } = options;
    const { keyring, isSealed } = await openSealedKeyring(context, { database, row, inRepository }, host, clusterKey);
    if (clusterKey === undefined) holdToMemory(remembered, keyring, `the database "${server.liveName}"`);
    if (!isSealed) await requireSealedLife(context, host, database, keyring);
    await rememberNode({ keyring, localState }, sealing, {
      against: clusterKey === undefined ? undefined : remembered,
    });
    context.signal.throwIfAborted();
    return { keyring, server, database, store, localState };
  } catch (error) {
    await database.close();
    throw error;
  }
}

/**
 * The same cluster with its keys as database and repository have them now. Unlike opening it, this needs the repository:
 * whoever changes the keys must not miss what was committed there.
 */
export async function reopenCluster(context: OperationContext, host: Host, cluster: Cluster): Promise<Cluster> {
  const { database } = cluster;
  const row = await readCluster(database.queries);
  if (row === undefined) {
    throw new EnclaveManagerError('lease-held', `database "${database.name}" was replaced meanwhile by an empty one`);
  }
  const inRepository = host.store === undefined ? [] : await readRepositoryDocuments(host.store);
  // Where a person decided between two successors, that holds until this host has resealed.
  const clusterKey = cluster.keyring.fingerprint;
  const keyring = await openClusterKeyring(context, { database, row, inRepository }, host, clusterKey);
  await rememberNode({ keyring, localState: host.localState }, host.sealing);
  context.signal.throwIfAborted();
  return { ...cluster, keyring };
}

/** Where the keys change between reading them and the seal of the database, they are read once more. */
async function openSealedKeyring(
  ...of: Parameters<typeof openClusterKeyring>
): Promise<{ readonly keyring: OpenedKeyring; readonly isSealed: boolean }> {
  const keyring = await openClusterKeyring(...of);
  const { database } = of[1];
  const isSealed = await database.transaction((queries) => isLifeSealed(database, queries, keyring));
  return { keyring: isSealed ? keyring : await openClusterKeyring(...of), isSealed };
}

/**
 * The database alone suffices, and is held to what this host remembers; whatever needs the repository says itself that it
 * does not answer or cannot be read.
 */
async function documentsInRepository(
  context: OperationContext,
  { store }: Host,
  row: ClusterRow,
): Promise<KeyringDocument[]> {
  if (store === undefined) return [];
  try {
    // What an interrupted creation finds may be another cluster's. Rows that somebody turned back to that state hide no newer keys.
    if (row.state === 'creating' && (await readOwner(store)) !== row.clusterId) return [];
    return await readRepositoryDocuments(store);
  } catch (error) {
    if (!isEnclaveManagerError(error, 'repository-unreachable', 'configuration', 'damaged')) throw error;
    context.progress.note(`warning: ${withoutPeriod(error.message)}. The keys in the database are used.`);
    return [];
  }
}

/** A replayed export is checked first, and then is the cluster. */
async function readLiveClusterOrImport(context: OperationContext, host: Host): Promise<ClusterRow | undefined> {
  try {
    return await readLiveCluster(host);
  } catch (error) {
    if (!isEnclaveManagerError(error, 'import-pending')) throw error;
    const finished = await finishImport(context, host, { trust: { kind: 'compared' } });
    const row = await readLiveCluster(host);
    if (finished !== undefined) {
      const how = finished.check.acceptedFor === null ? 'was compared with its backup' : 'was accepted before';
      context.progress.note(`the replayed export of backup ${finished.backupId} ${how}, and serves from now on`);
    }
    return row;
  }
}

/**
 * Where no row was seen: `undefined` if database and repository are empty, and refuses otherwise. What is there may be what
 * another manager created, or somebody restored, since we looked: then that is the cluster.
 */
async function rowUnlessEmpty(host: Host): Promise<ClusterRow | undefined> {
  try {
    await refuseFilledRepository(host);
    await refuseFilledTables(host.server);
    return undefined;
  } catch (error) {
    const row = await readLiveCluster(host);
    if (row === undefined) throw error;
    return row;
  }
}

async function refuseFilledRepository({ server, store }: Host): Promise<void> {
  if (store === undefined || (await isEmptyRepository(store))) return;
  const rows = await holdsRows(server);
  const what = rows ? 'has no cluster row, though it holds rows,' : 'is empty';
  const commands = [
    'enclave-manager restore plan latest',
    `enclave-manager restore run latest${rows ? ' --without-safety-backup' : ''}`,
  ];
  throw new EnclaveManagerError(
    'restore-needed',
    `the database "${server.liveName}" ${what} while ${store.location} is not${rows ? ' empty' : ''}; nothing was created`,
    { hint: `See what can be restored, then restore it:\n  ${commands.join('\n  ')}`, commands },
  );
}

/** New keys among the rows of another cluster would make both unreadable. */
async function refuseFilledTables(server: DatabaseServer): Promise<void> {
  if (!(await holdsRowsOfCluster(server))) return;
  throw new EnclaveManagerError(
    'damaged',
    `the database "${server.liveName}" at ${server.location} holds rows, and no cluster row; nothing was created`,
    {
      hint: 'Put the row back, or name the repository of that cluster (ENCLAVE_MANAGER_REPOSITORY) and restore a backup: restore run latest --without-safety-backup. Where the rows are not needed, give the manager an empty database.',
    },
  );
}
