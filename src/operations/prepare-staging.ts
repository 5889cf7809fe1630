import type { Manifest } from '#format/manifest.ts';
import type { OpenedKeyring } from '#keys/keyring.ts';
import type { AuditHead } from '#model/audit-event.ts';
import type { Incarnation } from '#model/backup.ts';
import type { BackupId } from '#model/identifiers.ts';
import type { RestoreId } from '#model/restore-names.ts';
import type { Database } from '#ports/database.ts';
import { beginNewLife, nextIncarnation } from './begin-new-life.ts';
import type { OperationContext } from './context.ts';

export interface RestoreFacts {
  readonly restoreId: RestoreId;
  readonly safetyBackupId: BackupId | null;
  readonly beforeDatabase: string | null;
}

/** What is restored, with the keys of today. */
interface Restored {
  readonly keyring: OpenedKeyring;
  readonly manifest: Manifest;
  /** Of the other backups and of what is replaced. */
  readonly incarnations: readonly Incarnation[];
}

/** What it takes the place of. */
export interface Replaced {
  readonly incarnation: Incarnation;
  readonly audit: AuditHead;
}

/** Makes the restored rows fit to serve today, records what they replace, and reads what whoever opens them reads. */
export async function prepareStaging(
  context: OperationContext,
  staging: Database,
  { keyring, manifest, incarnations }: Restored,
  replaced: Replaced | null,
  facts: RestoreFacts,
): Promise<Incarnation> {
  const { id, sequence, epochs } = manifest.summary;
  const seen = [manifest.summary.incarnation, ...incarnations, ...(replaced === null ? [] : [replaced.incarnation])];
  const incarnation = nextIncarnation(seen, context.randomness.bytes(8));
  const record = {
    ...facts,
    backupId: id,
    backupSequence: sequence,
    state: 'prepared' as const,
    incarnation,
    begunBy: context.holder,
    begunAt: context.clock.now(),
    replacedIncarnation: replaced?.incarnation ?? null,
    replacedAudit: replaced?.audit ?? null,
    endedAt: null,
    cleanedUpAt: null,
  };
  const details = {
    restoreId: facts.restoreId,
    safetyBackupId: facts.safetyBackupId,
    incarnation: { ...incarnation },
    replacedAuditLog: replaced && { ...replaced.audit },
    // What a rollback compares with to say what was written since.
    rows: Object.fromEntries(manifest.tables.map(({ name, rows }) => [name, rows])),
  };
  await staging.transaction(
    async (queries) =>
      await beginNewLife(context, queries, keyring, { database: staging, record, action: 'restored', details, epochs }),
  );
  return incarnation;
}
