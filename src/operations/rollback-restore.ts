import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import type { Incarnation } from '#model/backup.ts';
import { beforeName, stagingName } from '#model/restore-names.ts';
import type { Database } from '#ports/database.ts';
import { appendAuditEvent, listAuditEvents, readAuditHead } from '#store/audit.ts';
import { readCluster, setIncarnation } from '#store/cluster.ts';
import { forgetAbandonedHolders } from '#store/abandoned-holders.ts';
import { saveKeyringDocuments } from '#store/keyring-documents.ts';
import { migrate } from '#store/migrate.ts';
import { backedUpTables, loadMigrations } from '#store/migrations.ts';
import { syncNodes } from '#store/nodes.ts';
import { listRestores, type RestoreRecord } from '#store/restores.ts';
import type { Cluster, OperationContext } from './context.ts';
import { fence } from './fence.ts';
import { inspectLive } from './inspect-live.ts';
import { nextIncarnation } from './prepare-staging.ts';

export interface RollbackPlan {
  readonly restoreId: string;
  readonly backupId: string;
  readonly restoredAt: string;
  /** The database that would serve again. */
  readonly beforeDatabase: string;
  /** What was written since the restore, and would be lost with it. */
  readonly discardedAuditEvents: number;
  readonly discarded: readonly { readonly table: string; readonly rowsNow: number; readonly rowsBefore: number }[];
}

/** What `restore rollback` would do and discard. Throws `not-found` where there is nothing to go back to. */
export async function planRollback(cluster: Cluster): Promise<RollbackPlan> {
  const { server, database } = cluster;
  const incarnation = (await readCluster(database.queries))?.incarnation;
  // Records of restores before it came with the backup; the database's own has its incarnation.
  const record = (await listRestores(database.queries)).find(
    (each) => each.incarnation.number === incarnation?.number && each.incarnation.random === incarnation.random,
  );
  const nothing = (why: string): EnclaveManagerError =>
    new EnclaveManagerError('not-found', `there is no restore to roll back: ${why}`, {
      hint: 'restore cleanup removes the replaced database; after that only a backup brings it back.',
    });
  if (record === undefined) throw nothing('the live database was not restored');
  const name = beforeName(server.liveName, record.restoreId);
  if (record.beforeDatabase === null) throw nothing('the restore replaced no database');
  if ((await server.databaseIdentity(name)) === undefined) throw nothing(`the replaced database "${name}" is gone`);
  const before = server.open(name, { connections: 2 });
  try {
    return await describe(database, before, record, name);
  } finally {
    await before.close();
  }
}

async function describe(
  database: Database,
  before: Database,
  record: RestoreRecord,
  beforeDatabase: string,
): Promise<RollbackPlan> {
  const tablesBefore = new Set(await before.tableNames());
  const discarded: { table: string; rowsNow: number; rowsBefore: number }[] = [];
  for (const table of backedUpTables(loadMigrations().length)) {
    const rowsNow = await database.countRows(table);
    const rowsBefore = tablesBefore.has(table) ? await before.countRows(table) : 0;
    if (rowsNow !== rowsBefore) discarded.push({ table, rowsNow, rowsBefore });
  }
  const { position } = await readAuditHead(database.queries);
  const restores = await listAuditEvents(database.queries, { type: 'RESTORE', subject: record.backupId });
  const restored = restores.find(({ details }) => details['restoreId'] === record.restoreId);
  return {
    restoreId: record.restoreId,
    backupId: record.backupId,
    restoredAt: record.begunAt.toISOString(),
    beforeDatabase,
    discardedAuditEvents: position - (restored?.position ?? 0),
    discarded,
  };
}

/** Puts the replaced database back in place. The restored one is kept beside it until `restore cleanup`. */
export async function rollbackRestore(
  context: OperationContext,
  cluster: Cluster,
  plan: RollbackPlan,
): Promise<{ readonly incarnation: Incarnation; readonly keptDatabase: string }> {
  const { server, keyring } = cluster;
  const live = await inspectLive(context, cluster, keyring);
  const keptDatabase = stagingName(server.liveName, plan.restoreId);
  try {
    const fenced = await fence(context, live);
    let swapped = false;
    try {
      const incarnation = await reviveBefore(context, cluster, plan);
      await live.assertUnchanged();
      await fenced.assertClosed();
      context.signal.throwIfAborted();
      await server.swap({
        live: server.liveName,
        staging: plan.beforeDatabase,
        before: keptDatabase,
        expectedLive: live.identity,
      });
      swapped = true;
      return { incarnation, keptDatabase };
    } finally {
      if (swapped) fenced.leave();
      else await fenced.lift();
    }
  } finally {
    await live.release();
  }
}

/** The old rows begin a new life: leases and registrations of their former one must not count in it. */
async function reviveBefore(
  context: OperationContext,
  { server, keyring, database }: Cluster,
  plan: RollbackPlan,
): Promise<Incarnation> {
  const before = server.open(plan.beforeDatabase, { connections: 2 });
  try {
    await migrate(before);
    const rows = [await readCluster(before.queries), await readCluster(database.queries)];
    const incarnation = nextIncarnation(
      rows.flatMap((row) => (row ? [row.incarnation] : [])),
      context.randomness.bytes(8),
    );
    await before.transaction(async (queries) => {
      await saveKeyringDocuments(queries, keyring.documents);
      await syncNodes(queries, keyring.membership, context);
      await setIncarnation(queries, incarnation);
      await forgetAbandonedHolders(queries);
      const details = { restoreId: plan.restoreId, discardedAuditEvents: plan.discardedAuditEvents };
      await appendAuditEvent(
        queries,
        { type: 'RESTORE', action: 'rolled back', actor: `node ${keyring.nodeId}`, subject: plan.backupId, details },
        context,
      );
    });
    return incarnation;
  } finally {
    await before.close();
  }
}
