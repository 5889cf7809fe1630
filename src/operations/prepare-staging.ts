import type { Incarnation } from '#model/backup.ts';
import type { BackupId } from '#model/identifiers.ts';
import type { RestoreId } from '#model/restore-names.ts';
import type { Database } from '#ports/database.ts';
import { readAuditHead } from '#store/audit.ts';
import { beginNewLife, nextIncarnation } from './begin-new-life.ts';
import type { OperationContext } from './context.ts';
import type { Live } from './inspect-live.ts';
import type { RestoreTarget } from './restore-target.ts';

interface RestoreFacts {
  readonly restoreId: RestoreId;
  readonly safetyBackupId: BackupId | null;
  readonly beforeDatabase: string | null;
}

/** Makes the restored rows fit to serve today, and records what they replace. */
export async function prepareStaging(
  context: OperationContext,
  staging: Database,
  target: RestoreTarget,
  live: Live,
  facts: RestoreFacts,
): Promise<Incarnation> {
  const { keyring, backup, catalog, manifest } = target;
  const { epochs } = manifest.summary;
  const replacedHead = live.held === undefined ? null : await readAuditHead(live.held.database.queries);
  const replacedIncarnation = live.held?.cluster.incarnation ?? null;
  const seen = [
    backup.entry.incarnation,
    ...catalog.backups.map(({ entry }) => entry.incarnation),
    ...(replacedIncarnation ? [replacedIncarnation] : []),
  ];
  const incarnation = nextIncarnation(seen, context.randomness.bytes(8));
  const record = {
    ...facts,
    backupId: backup.entry.id,
    backupSequence: backup.entry.sequence,
    state: 'prepared' as const,
    incarnation,
    begunBy: context.holder,
    begunAt: context.clock.now(),
    replacedIncarnation,
    replacedAudit: replacedHead,
    endedAt: null,
    cleanedUpAt: null,
  };
  const details = {
    restoreId: facts.restoreId,
    safetyBackupId: facts.safetyBackupId,
    incarnation: { ...incarnation },
    replacedAuditLog: replacedHead && { ...replacedHead },
    // What a rollback compares with to say what was written since.
    rows: Object.fromEntries(manifest.tables.map(({ name, rows }) => [name, rows])),
  };
  await staging.transaction(
    async (queries) => await beginNewLife(context, queries, keyring, { record, action: 'restored', details, epochs }),
  );
  return incarnation;
}
