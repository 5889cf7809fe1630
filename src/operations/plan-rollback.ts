import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import type { RecordedAuditEvent } from '#model/audit-event.ts';
import { beforeName } from '#model/restore-names.ts';
import type { Database } from '#ports/database.ts';
import { listAuditEvents, readAuditHead } from '#store/audit.ts';
import { readCluster } from '#store/cluster.ts';
import { backedUpTables, loadMigrations } from '#store/migrations.ts';
import { listRestores, type RestoreRecord } from '#store/restores.ts';
import type { Cluster } from './context.ts';

export interface RollbackPlan {
  /** What would be undone: a rollback is undone in the same way as a restore. */
  readonly undoes: 'restore' | 'rollback';
  readonly restoreId: string;
  readonly backupId: string;
  readonly restoredAt: string;
  /** The database that would serve again. */
  readonly beforeDatabase: string;
  /** What was written since, and would be lost with it. */
  readonly discardedAuditEvents: number;
  /** The newest of them, newest first. */
  readonly newestAuditEvents: readonly DiscardedEvent[];
  readonly discarded: readonly DiscardedRows[];
}

export interface DiscardedEvent {
  readonly at: string;
  readonly action: string;
  readonly actor: string;
  readonly subject: string | null;
}

export interface DiscardedRows {
  readonly table: string;
  /** Rows inserted or changed since. */
  readonly written: number;
  /** Rows that are no longer as they were: changed or deleted. `null` where it was not recorded how many there were. */
  readonly removed: number | null;
  readonly rowsNow: number;
  /** In the database that would serve again. */
  readonly rowsBefore: number;
}

const shownEvents = 20;

/** Told of elsewhere in the plan, or made anew from the keyring by every rollback. */
const carried = new Set([
  'audit_events',
  'cluster',
  'credentials',
  'key_epochs',
  'key_slots',
  'memberships',
  'nodes',
  'restores',
]);

/** Tables whose rows a rollback exchanges. */
export const exchangedTables = (): string[] =>
  backedUpTables(loadMigrations().length).filter((table) => !carried.has(table));

/** What `restore rollback` would do and discard. Throws `not-found` where there is nothing to go back to. */
export async function planRollback(cluster: Cluster): Promise<RollbackPlan> {
  const { record, beforeDatabase } = await findUndoable(cluster);
  const before = cluster.server.open(beforeDatabase, { connections: 2 });
  try {
    return await describe(cluster.database, before, record, beforeDatabase);
  } finally {
    await before.close();
  }
}

export interface Undoable {
  readonly record: RestoreRecord;
  readonly beforeDatabase: string;
}

/** The restore or rollback that the live database came from. Throws `not-found` where none can be undone. */
export async function findUndoable({ server, database }: Cluster): Promise<Undoable> {
  const incarnation = (await readCluster(database.queries))?.incarnation;
  // Records of restores before it came with the backup; the database's own has its incarnation.
  const record = (await listRestores(database.queries)).find(
    (each) => each.incarnation.number === incarnation?.number && each.incarnation.random === incarnation.random,
  );
  if (record === undefined) throw nothing('the live database was not restored');
  const name = beforeName(server.liveName, record.restoreId);
  // One that got its rows in the last moment is kept, though the record does not say so.
  if ((await server.databaseIdentity(name)) === undefined) {
    const why =
      record.beforeDatabase === null ? 'the restore replaced no database' : `the replaced database "${name}" is gone`;
    throw nothing(why);
  }
  return { record, beforeDatabase: name };
}

const nothing = (why: string): EnclaveManagerError =>
  new EnclaveManagerError('not-found', `there is no restore to roll back: ${why}`, {
    hint: 'restore cleanup removes the replaced database; after that only a backup brings it back.',
  });

async function describe(
  database: Database,
  before: Database,
  record: RestoreRecord,
  beforeDatabase: string,
): Promise<RollbackPlan> {
  const event = await eventOf(database, record);
  const { position } = await readAuditHead(database.queries);
  const since = position - (event?.position ?? 0);
  const newest = since === 0 ? [] : await listAuditEvents(database.queries, { limit: Math.min(since, shownEvents) });
  return {
    undoes: record.state === 'rolled-back' ? 'rollback' : 'restore',
    restoreId: record.restoreId,
    backupId: record.backupId,
    restoredAt: record.begunAt.toISOString(),
    beforeDatabase,
    discardedAuditEvents: since,
    newestAuditEvents: newest.map(({ occurredAt, action, actor, subject }) => ({
      at: occurredAt.toISOString(),
      action,
      actor,
      subject,
    })),
    discarded: await discardedRows(database, before, event),
  };
}

/** The event by which the live database began its life: written in one transaction with everything that was made ready then. */
async function eventOf(database: Database, record: RestoreRecord): Promise<RecordedAuditEvent | undefined> {
  const events = await listAuditEvents(database.queries, { type: 'RESTORE', subject: record.backupId, limit: 1000 });
  return events.find(({ details }) => details['restoreId'] === record.restoreId);
}

async function discardedRows(
  database: Database,
  before: Database,
  event: RecordedAuditEvent | undefined,
): Promise<DiscardedRows[]> {
  const tablesBefore = new Set(await before.tableNames());
  const discarded: DiscardedRows[] = [];
  for (const table of exchangedTables()) {
    const rowsNow = await database.countRows(table);
    const written =
      event === undefined
        ? rowsNow
        : await database.countRowsSince(table, { table: 'audit_events', column: 'position', value: event.position });
    const rowsAtFirst = recordedRows(event, table);
    const removed = rowsAtFirst === undefined ? null : rowsAtFirst - (rowsNow - written);
    if (written === 0 && removed === 0) continue;
    const rowsBefore = tablesBefore.has(table) ? await before.countRows(table) : 0;
    discarded.push({ table, written, removed, rowsNow, rowsBefore });
  }
  return discarded;
}

function recordedRows(event: RecordedAuditEvent | undefined, table: string): number | undefined {
  const rows = event?.details['rows'];
  if (typeof rows !== 'object' || rows === null || Array.isArray(rows)) return undefined;
  const count: unknown = Object.entries(rows).find(([name]) => name === table)?.[1];
  return typeof count === 'number' ? count : undefined;
}
