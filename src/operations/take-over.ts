import { appendAuditEvent } from '#store/audit.ts';
import { beginClusterLife, readCluster } from '#store/cluster.ts';
import { requireLease } from '#store/lease-rows.ts';
import { acquireLease } from '#store/leases.ts';
import { carryRestore } from '#store/restores.ts';
import { sealLife } from '#store/life-seal.ts';
import { requireNewestEpoch } from '#store/sealed-values.ts';
import { nextIncarnation } from './begin-new-life.ts';
import { checkMarker } from './check-marker.ts';
import { readCompleteCatalog } from './complete-catalog.ts';
import { operationLease, type Cluster, type OperationContext } from './context.ts';
import { requireCurrentKeys } from './current-keys.ts';
import { describeNewerLife } from './newer-life.ts';
import { requireStore } from './require-store.ts';

/**
 * Makes the live database the newest life of the cluster's data, audited, where another database has backed up since;
 * from the next backup on the other one is refused. Where none has, or after a crash in between, nothing is left to do.
 */
export async function takeOver(context: OperationContext, cluster: Cluster): Promise<void> {
  const { database, keyring } = cluster;
  const store = requireStore(cluster.store);
  const lease = await acquireLease(database, { ...operationLease, holder: context.holder }, context);
  try {
    await checkMarker(store, keyring);
    await requireCurrentKeys(keyring, { database, store });
    const catalog = await readCompleteCatalog(store, keyring, context.clock.now());
    const sentence = await describeNewerLife(cluster, catalog);
    if (sentence === undefined) return;
    const seen = catalog.backups.map(({ entry }) => entry.incarnation);
    await database.transaction(async (queries) => {
      await requireLease(queries, lease.token);
      await requireNewestEpoch(queries, keyring);
      const row = await readCluster(queries);
      const incarnation = nextIncarnation([...seen, ...(row ? [row.incarnation] : [])], context.randomness.bytes(8));
      if (row !== undefined) await carryRestore(queries, row.incarnation, incarnation);
      await beginClusterLife(queries, { clusterId: keyring.clusterId, incarnation, createdAt: context.clock.now() });
      await sealLife(database, queries, keyring, incarnation, context.randomness);
      const details = { incarnation: { ...incarnation }, because: sentence };
      const event = { type: 'BACKUP' as const, action: 'taken over', actor: context.holder, subject: null, details };
      await appendAuditEvent(queries, event, context);
    });
    context.progress.note(
      'this database is the live one now; another database of this cluster is refused from the next backup on',
    );
  } finally {
    await lease.release();
  }
}
