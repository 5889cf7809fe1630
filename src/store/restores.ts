import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import type { AuditHead } from '#model/audit-event.ts';
import type { Incarnation } from '#model/backup.ts';
import type { BackupId } from '#model/identifiers.ts';
import { tablesOf, type Queries, type Tables } from './tables.ts';

export type RestoreState = Tables['restores']['state'];

/**
 * How the database that holds this record came to life. Together with the names of the databases it is all the state
 * a restore has, so any host can finish it, roll it back or clean up after it.
 */
export interface RestoreRecord {
  /** The `<id>` of `malbork_restore_<id>` and `malbork_before_<id>`. */
  readonly restoreId: string;
  readonly backupId: BackupId;
  readonly backupSequence: number;
  readonly state: RestoreState;
  /** The new life that this database begins. */
  readonly incarnation: Incarnation;
  readonly begunBy: string;
  readonly begunAt: Date;
  readonly endedAt: Date | null;
  readonly safetyBackupId: BackupId | null;
  /** Name of the replaced database; `null` where there was none, or it held nothing. */
  readonly beforeDatabase: string | null;
  readonly replacedIncarnation: Incarnation | null;
  readonly replacedAudit: AuditHead | null;
  /** When the replaced database was dropped. */
  readonly cleanedUpAt: Date | null;
}

export async function recordRestore(queries: Queries, record: RestoreRecord): Promise<void> {
  await tablesOf(queries).insertInto('restores').values(toRow(record)).execute();
}

export type RestoreChange = Partial<Pick<RestoreRecord, 'state' | 'endedAt' | 'safetyBackupId' | 'cleanedUpAt'>>;

/** `not-found` when this database was not made by that restore. */
export async function updateRestore(queries: Queries, restoreId: string, change: RestoreChange): Promise<void> {
  const result = await tablesOf(queries)
    .updateTable('restores')
    .set({
      ...(change.state === undefined ? {} : { state: change.state }),
      ...(change.endedAt === undefined ? {} : { ended_at: change.endedAt }),
      ...(change.safetyBackupId === undefined ? {} : { safety_backup_id: change.safetyBackupId }),
      ...(change.cleanedUpAt === undefined ? {} : { cleaned_up_at: change.cleanedUpAt }),
    })
    .where('restore_id', '=', restoreId)
    .executeTakeFirst();
  if (result.numUpdatedRows === 1n) return;
  throw new EnclaveManagerError('not-found', `this database holds no record of the restore ${restoreId}`);
}

/** The life that a restore began goes on as another: what it replaced can still be put back. */
export async function carryRestore(queries: Queries, from: Incarnation, to: Incarnation): Promise<void> {
  await tablesOf(queries)
    .updateTable('restores')
    .set({ incarnation_number: to.number, incarnation_random: to.random })
    .where('incarnation_number', '=', from.number)
    .where('incarnation_random', '=', from.random)
    .execute();
}

export async function readRestore(queries: Queries, restoreId: string): Promise<RestoreRecord | undefined> {
  const row = await tablesOf(queries)
    .selectFrom('restores')
    .selectAll()
    .where('restore_id', '=', restoreId)
    .executeTakeFirst();
  return row === undefined ? undefined : fromRow(row);
}

const numberColumns = [
  'backup_sequence',
  'incarnation_number',
  'replaced_incarnation_number',
  'replaced_audit_position',
] as const;

/**
 * Newest first: the first is the one that this database came from, older ones came with the backup. A row with a number that
 * no restore has is no record, and must not hide those that are.
 */
export async function listRestores(queries: Queries): Promise<RestoreRecord[]> {
  let query = tablesOf(queries).selectFrom('restores').selectAll();
  for (const column of numberColumns) {
    query = query.where(({ eb, or }) => or([eb(column, 'is', null), eb(column, '<=', Number.MAX_SAFE_INTEGER)]));
  }
  return (await query.orderBy('restore_id', 'desc').execute()).map(fromRow);
}

function toRow(record: RestoreRecord): Tables['restores'] {
  return {
    restore_id: record.restoreId,
    backup_id: record.backupId,
    backup_sequence: record.backupSequence,
    state: record.state,
    incarnation_number: record.incarnation.number,
    incarnation_random: record.incarnation.random,
    begun_by: record.begunBy,
    begun_at: record.begunAt,
    ended_at: record.endedAt,
    safety_backup_id: record.safetyBackupId,
    before_database: record.beforeDatabase,
    replaced_incarnation_number: record.replacedIncarnation?.number ?? null,
    replaced_incarnation_random: record.replacedIncarnation?.random ?? null,
    replaced_audit_position: record.replacedAudit?.position ?? null,
    replaced_audit_hash: record.replacedAudit?.hash ?? null,
    cleaned_up_at: record.cleanedUpAt,
  };
}

function fromRow(row: Tables['restores']): RestoreRecord {
  const { replaced_incarnation_number: number, replaced_incarnation_random: random } = row;
  const { replaced_audit_position: position, replaced_audit_hash: hash } = row;
  return {
    restoreId: row.restore_id,
    backupId: row.backup_id,
    backupSequence: row.backup_sequence,
    state: row.state,
    incarnation: { number: row.incarnation_number, random: row.incarnation_random },
    begunBy: row.begun_by,
    begunAt: row.begun_at,
    endedAt: row.ended_at,
    safetyBackupId: row.safety_backup_id,
    beforeDatabase: row.before_database,
    replacedIncarnation: number === null || random === null ? null : { number, random },
    replacedAudit: position === null || hash === null ? null : { position, hash },
    cleanedUpAt: row.cleaned_up_at,
  };
}
