import type { OpenedKeyring } from '#keys/keyring.ts';
import type { AuditHead } from '#model/audit-event.ts';
import type { Incarnation } from '#model/backup.ts';
import type { BackupId } from '#model/identifiers.ts';
import type { RestoreId } from '#model/restore-names.ts';
import type { Database } from '#ports/database.ts';
import { appendAuditEvent, readAuditHead } from '#store/audit.ts';
import { setIncarnation } from '#store/cluster.ts';
import { saveKeyringDocuments } from '#store/keyring-documents.ts';
import { syncNodes } from '#store/nodes.ts';
import { recordRestore } from '#store/restores.ts';
import { resealColumns } from '#store/sealed-values.ts';
import type { Queries } from '#store/tables.ts';
import type { OperationContext } from './context.ts';
import type { Live } from './inspect-live.ts';
import type { RestoreTarget } from './restore-target.ts';

interface RestoreFacts {
  readonly restoreId: RestoreId;
  readonly safetyBackupId: BackupId | null;
  readonly beforeDatabase: string | null;
}

/**
 * Makes the restored rows fit to serve today: keys and nodes of the newest authentic membership, so that an evicted node
 * stays evicted; columns sealed for the current epoch; a new incarnation, so that nobody mistakes this life of the
 * database for the one before; and the record by which any host can roll back or clean up.
 */
export async function prepareStaging(
  context: OperationContext,
  staging: Database,
  target: RestoreTarget,
  live: Live,
  facts: RestoreFacts,
): Promise<Incarnation> {
  const { keyring, backup, catalog } = target;
  const replacedHead = live.held === undefined ? null : await readAuditHead(live.held.database.queries);
  const replacedIncarnation = live.held?.cluster.incarnation ?? null;
  const seen = [
    backup.entry.incarnation,
    ...catalog.backups.map(({ entry }) => entry.incarnation),
    ...(replacedIncarnation ? [replacedIncarnation] : []),
  ];
  const incarnation = nextIncarnation(seen, context.randomness.bytes(8));
  await staging.transaction(async (queries) => {
    await resealColumns(queries, keyring, context.randomness);
    await saveKeyringDocuments(queries, keyring.documents);
    await syncNodes(queries, keyring.membership, context);
    await setIncarnation(queries, incarnation);
    await recordRestore(queries, {
      restoreId: facts.restoreId,
      backupId: backup.entry.id,
      backupSequence: backup.entry.sequence,
      state: 'prepared',
      incarnation,
      begunBy: context.holder,
      begunAt: context.clock.now(),
      safetyBackupId: facts.safetyBackupId,
      beforeDatabase: facts.beforeDatabase,
      replacedIncarnation,
      replacedAudit: replacedHead,
      endedAt: null,
      cleanedUpAt: null,
    });
    await auditRestore(context, queries, keyring, backup.entry.id, { facts, incarnation, replacedHead });
  });
  return incarnation;
}

async function auditRestore(
  context: OperationContext,
  queries: Queries,
  keyring: OpenedKeyring,
  backupId: BackupId,
  told: { readonly facts: RestoreFacts; readonly incarnation: Incarnation; readonly replacedHead: AuditHead | null },
): Promise<void> {
  const { facts, incarnation, replacedHead } = told;
  const details = {
    restoreId: facts.restoreId,
    safetyBackupId: facts.safetyBackupId,
    incarnation: { ...incarnation },
    replacedAuditLog: replacedHead && { ...replacedHead },
  };
  await appendAuditEvent(
    queries,
    { type: 'RESTORE', action: 'restored', actor: `node ${keyring.nodeId}`, subject: backupId, details },
    context,
  );
}

/** One more than any incarnation seen, with fresh random bits, so that two restores never make the same one. */
export function nextIncarnation(seen: readonly Incarnation[], random: Uint8Array): Incarnation {
  return { number: 1 + Math.max(0, ...seen.map(({ number }) => number)), random: Buffer.from(random).toString('hex') };
}
