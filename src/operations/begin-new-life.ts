import type { OpenedKeyring } from '#keys/keyring.ts';
import type { Incarnation } from '#model/backup.ts';
import type { JsonObject } from '#model/json.ts';
import { appendAuditEvent } from '#store/audit.ts';
import { setIncarnation } from '#store/cluster.ts';
import { revokeOutdatedInvites } from '#store/invites.ts';
import { saveKeyringDocuments } from '#store/keyring-documents.ts';
import { syncNodes } from '#store/nodes.ts';
import { recordRestore, type RestoreRecord } from '#store/restores.ts';
import { resealColumns, type KnowsSealed } from '#store/sealed-values.ts';
import type { Queries } from '#store/tables.ts';
import type { OperationContext } from './context.ts';

/** How the rows of a backup came into a database. */
export interface NewLife {
  /** Holds the new incarnation. */
  readonly record: RestoreRecord;
  /** For the audit log: `restored`, `imported`. */
  readonly action: string;
  readonly details: JsonObject;
  /** Epochs under which its columns were sealed when the rows served last. */
  readonly epochs: readonly number[];
  /** Where the rows lay open to others since they were compared: what may be sealed anew. */
  readonly isKnown?: KnowsSealed | undefined;
}

const mostNamed = 10;

/**
 * Makes the rows of a backup fit to serve today: keys and nodes of the newest authentic membership, so that an evicted
 * node stays evicted; columns sealed for the current epoch; a new incarnation, so that nobody mistakes this life of the
 * database for the one before; and the record by which any host can roll back or clean up. Call it in a transaction.
 */
export async function beginNewLife(
  context: OperationContext,
  queries: Queries,
  keyring: OpenedKeyring,
  { record, action, details, epochs, isKnown }: NewLife,
): Promise<void> {
  await revokeOutdatedInvites(queries, keyring, context);
  const options = { accepted: epochs, refused: 'leave', isKnown } as const;
  const { left } = await resealColumns(queries, keyring, options, context.randomness);
  noteLeft(context, left);
  await saveKeyringDocuments(queries, keyring.documents);
  await syncNodes(queries, keyring.membership, context);
  await setIncarnation(queries, record.incarnation);
  await recordRestore(queries, record);
  await appendAuditEvent(
    queries,
    {
      type: 'RESTORE',
      action,
      actor: `node ${keyring.nodeId}`,
      subject: record.backupId,
      details: { ...details, ...told(left) },
    },
    context,
  );
}

/** A value that somebody planted before the backup must not keep the rest from being restored. */
export function noteLeft({ progress }: OperationContext, left: readonly string[]): void {
  for (const what of left.slice(0, mostNamed)) progress.note(`warning: left as it is: ${what}`);
  if (left.length > mostNamed) progress.note(`warning: and ${left.length - mostNamed} more sealed values`);
}

const told = (left: readonly string[]): JsonObject =>
  left.length === 0 ? {} : { refusedSecrets: left.length, firstRefused: left.slice(0, mostNamed) };

/** One more than any incarnation seen, with fresh random bits, so that two restores never make the same one. */
export function nextIncarnation(seen: readonly Incarnation[], random: Uint8Array): Incarnation {
  return { number: 1 + Math.max(0, ...seen.map(({ number }) => number)), random: Buffer.from(random).toString('hex') };
}
