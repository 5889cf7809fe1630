import { EnclaveManagerError, isEnclaveManagerError } from '#errors/enclave-manager-error.ts';
import type { OpenedKeyring } from '#keys/keyring.ts';
import type { Database } from '#ports/database.ts';
import type { ObjectStore } from '#ports/object-store.ts';
import type { ClusterRow } from '#store/cluster.ts';
import { acquireLease } from '#store/leases.ts';
import type { Lease } from '#store/held-lease.ts';
import { operationLease, type Host, type OperationContext } from './context.ts';
import { requireCurrentKeys } from './current-keys.ts';
import { hasImport } from './find-import.ts';
import { finishSwap } from './finish-swap.ts';
import { holdsRows, type LiveContent } from './live-content.ts';
import { readLiveCluster } from './read-live-cluster.ts';

/** The database that a restore is about to replace, as it was found at the start. */
export interface Live {
  /** `undefined`: there is none. */
  readonly identity: string | undefined;
  readonly content: LiveContent;
  /** Present where the live database holds a cluster, which is then ours; its lease is held. */
  readonly held: { readonly cluster: ClusterRow; readonly database: Database; readonly lease: Lease } | undefined;
  /**
   * Throws `lease-held` when the lease was lost since, or the name means another database now; the swap itself checks
   * that again. Resolves with until when the lease is ours, by the server's clock; `undefined` where there is none.
   */
  assertUnchanged(): Promise<Date | undefined>;
  release(): Promise<void>;
}

/** Takes the lease where there is a live database to hold one. Throws `repository-foreign` for another cluster's. */
export async function inspectLive(
  context: OperationContext,
  { server, store }: Pick<Host, 'server' | 'store'>,
  keyring: OpenedKeyring,
): Promise<Live> {
  await finishSwap(context, server, { unclear: 'leave' });
  const identity = await server.databaseIdentity(server.liveName);
  const changed = (what: string): EnclaveManagerError =>
    new EnclaveManagerError('lease-held', `the database "${server.liveName}" ${what}; nothing was replaced`);
  const assertSame = async (): Promise<void> => {
    if ((await server.databaseIdentity(server.liveName)) === identity) return;
    throw changed('is no longer the one that was there when this began');
  };
  const withoutLease = (content: LiveContent, assertStill: () => Promise<void>): Live => {
    const assertUnchanged = async (): Promise<undefined> => {
      await assertSame();
      await assertStill();
    };
    return { identity, content, held: undefined, assertUnchanged, release: async () => {} };
  };
  // An export that was replayed and never served is in nobody's way; the swap keeps it as it is.
  if (await hasImport({ server }))
    return withoutLease('import', async () => {
      if (!(await hasImport({ server }))) throw changed('held an import when this began, which was finished since');
    });
  const cluster = await readLiveCluster({ server });
  if (cluster === undefined) {
    const rows = await holdsRows(server);
    return withoutLease(rows ? 'rows' : 'nothing', async () => {
      if ((await readLiveCluster({ server })) !== undefined)
        throw changed('held no cluster when this began and holds a cluster now');
      if (!rows && (await holdsRows(server))) throw changed('was empty when this began and holds rows now');
    });
  }
  if (cluster.clusterId === keyring.clusterId) {
    const content = cluster.state === 'ready' ? 'cluster' : 'creating';
    return { identity, content, ...(await holdLive(context, { server, store }, keyring, cluster, assertSame)) };
  }
  if (cluster.state !== 'creating') throw ofAnotherCluster(server, cluster, keyring);
  // Nor is a cluster whose creation never ended, as it says.
  return withoutLease('creating', async () => {
    const now = await readLiveCluster({ server });
    if (now?.clusterId !== cluster.clusterId || now.state !== 'creating')
      throw changed('held a cluster that was only begun, and holds another or a whole one now');
  });
}

async function holdLive(
  context: OperationContext,
  { server, store }: Pick<Host, 'server' | 'store'>,
  keyring: OpenedKeyring,
  cluster: ClusterRow,
  assertSame: () => Promise<void>,
): Promise<Omit<Live, 'identity' | 'content'>> {
  const database = server.open(server.liveName);
  try {
    const lease = await acquireLease(database, { ...operationLease, holder: context.holder }, context);
    const release = async (): Promise<void> => {
      await lease.release();
      await database.close();
    };
    await requireKeysUnchanged(keyring, database, store).catch(async (error: unknown) => {
      await lease.release();
      throw error;
    });
    const assertUnchanged = async (): Promise<Date> => {
      await assertSame();
      return await lease.prolong();
    };
    return { held: { cluster, database, lease }, assertUnchanged, release };
  } catch (error) {
    await database.close();
    throw error;
  }
}

function ofAnotherCluster(
  { liveName }: Host['server'],
  { clusterId }: ClusterRow,
  keyring: OpenedKeyring,
): EnclaveManagerError {
  return new EnclaveManagerError(
    'repository-foreign',
    `the database "${liveName}" belongs to cluster ${clusterId}, the backup to cluster ${keyring.clusterId}`,
    { hint: 'Restore it on a server, or into a database, of its own: ENCLAVE_MANAGER_DATABASE_URL.' },
  );
}

/** Rows that are no keyring say nothing of its keys, and are replaced now: whoever wrote them could have deleted what was there. */
async function requireKeysUnchanged(
  keyring: OpenedKeyring,
  database: Database,
  store: ObjectStore | undefined,
): Promise<void> {
  try {
    await requireCurrentKeys(keyring, { database, store });
  } catch (error) {
    if (!isEnclaveManagerError(error, 'damaged')) throw error;
    await requireCurrentKeys(keyring, { store });
  }
}
