import { EnclaveManagerError, isEnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { newClusterKeyring, openKeyring, type OpenedKeyring } from '#keys/keyring.ts';
import type { DatabaseServer } from '#ports/database.ts';
import type { ObjectStore } from '#ports/object-store.ts';
import { insertCluster, markClusterReady, readCluster, type ClusterRow } from '#store/cluster.ts';
import { appendAuditEvent } from '#store/audit.ts';
import { sealLife } from '#store/life-seal.ts';
import { saveKeyringDocuments } from '#store/keyring-documents.ts';
import { migrate } from '#store/migrate.ts';
import { syncNodes } from '#store/nodes.ts';
import { checkBeforeKeys, completeKeyring, writeMarker } from './adopt-repository.ts';
import type { Cluster, Host, OperationContext } from './context.ts';
import { rememberNode } from './remember-node.ts';

/**
 * Creates a cluster with this host as its first node. Keys are recorded in the database before anything is written to
 * the repository, and the marker is the last object: interrupted anywhere, `finishCreation` goes on with the same keys.
 */
export async function createCluster(context: OperationContext, host: Host): Promise<Cluster> {
  const { server, store, sealing, localState, node } = host;
  await createLive(server);
  const database = server.open(server.liveName);
  await migrate(database);
  await sealing.provision();
  const { documents } = await newClusterKeyring({ ...context, sealing }, node);
  const keyring = await openKeyring(documents, sealing);
  const row: ClusterRow = {
    clusterId: keyring.clusterId,
    state: 'creating',
    incarnation: { number: 1, random: context.randomness.bytes(8).toString('hex') },
    createdAt: context.clock.now(),
  };
  await database.transaction(async (queries) => {
    if ((await readCluster(queries)) !== undefined) throw createdMeanwhile(server);
    await insertCluster(queries, row);
    await sealLife(database, queries, keyring, row.incarnation, context.randomness);
    await saveKeyringDocuments(queries, documents);
  });
  await rememberNode({ keyring, localState }, sealing);
  context.crashPoints.reach('create-cluster.recorded');
  return await finishCreation(context, { keyring, server, database, store, localState }, row);
}

async function createLive(server: DatabaseServer): Promise<void> {
  const exists = async (): Promise<boolean> => (await server.databaseIdentity(server.liveName)) !== undefined;
  if (await exists()) return;
  try {
    await server.createDatabase(server.liveName);
  } catch (error) {
    // Of two managers that start at once, one finds the name taken.
    if (!(await exists())) throw error;
  }
}

function createdMeanwhile({ liveName, location }: DatabaseServer): EnclaveManagerError {
  return new EnclaveManagerError(
    'lease-held',
    `another manager created a cluster in the database "${liveName}" at ${location} at the same moment`,
    { hint: 'Enrol this host in that cluster: node invite there, then node enrol here.' },
  );
}

/** Writes what a created cluster still lacks in the repository. Safe to repeat: the same keys give the same objects. */
export async function finishCreation(context: OperationContext, cluster: Cluster, row: ClusterRow): Promise<Cluster> {
  const { keyring, database, store } = cluster;
  if (store !== undefined) {
    await refuseForeign(store, keyring);
    await completeKeyring(store, keyring.documents);
    context.crashPoints.reach('create-cluster.keyring-written');
    await writeMarker(store, keyring, row.createdAt);
    context.crashPoints.reach('create-cluster.marker-written');
  }
  await database.transaction(async (queries) => {
    if ((await readCluster(queries))?.state === 'ready') return;
    await markClusterReady(queries);
    await syncNodes(queries, keyring.membership, context);
    await appendAuditEvent(
      queries,
      {
        type: 'KEY',
        actor: context.holder,
        subject: keyring.clusterId,
        action: 'cluster created',
        details: {
          clusterKey: keyring.fingerprint,
          ...(store === undefined ? {} : { repository: store.location }),
        },
      },
      context,
    );
  });
  return cluster;
}

/** Where it was interrupted, the repository may be another one by now: its location was mistyped before, or is. */
async function refuseForeign(store: ObjectStore, keyring: OpenedKeyring): Promise<void> {
  try {
    await checkBeforeKeys(store, keyring);
  } catch (error) {
    if (!isEnclaveManagerError(error, 'repository-foreign', 'damaged')) throw error;
    throw new EnclaveManagerError(
      'repository-foreign',
      `the creation of cluster ${keyring.clusterId} was interrupted, and ${store.location} is not its repository: ${error.message}; nothing was written there`,
      {
        hint: 'To create that cluster, name the empty place that is meant for it: ENCLAVE_MANAGER_REPOSITORY. To serve the cluster whose backups lie here instead, restore them in its place: restore run latest --cluster-key FINGERPRINT, with the key from its recovery line.',
        cause: error,
      },
    );
  }
}
