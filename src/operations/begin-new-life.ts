import type { KeyringDocument, OpenedKeyring } from '#keys/keyring.ts';
import { parseKeyringPath } from '#keys/keyring-paths.ts';
import { membersSchema } from '#keys/payloads.ts';
import { maxIncarnationNumber, type Incarnation } from '#model/backup.ts';
import type { JsonObject } from '#model/json.ts';
import type { Database } from '#ports/database.ts';
import { appendAuditEvent } from '#store/audit.ts';
import { beginClusterLife } from '#store/cluster.ts';
import { revokeOutdatedInvites } from '#store/invites.ts';
import { readKeyringDocuments, replaceKeyringDocuments } from '#store/keyring-documents.ts';
import { rewriteNodes } from '#store/nodes.ts';
import { sealLife } from '#store/life-seal.ts';
import { recordRestore, type RestoreRecord } from '#store/restores.ts';
import { resealColumns, type KnowsSealed } from '#store/sealed-values.ts';
import type { Queries } from '#store/tables.ts';
import type { OperationContext } from './context.ts';
import { requireOpens } from './require-opens.ts';

/** How the rows of a backup came into a database. */
export interface NewLife {
  /** Which they are in, so that they count there and nowhere else. */
  readonly database: Pick<Database, 'place'>;
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
  { database, record, action, details, epochs, isKnown }: NewLife,
): Promise<void> {
  await revokeOutdatedInvites(queries, keyring, context);
  const options = { accepted: epochs, refused: 'leave', isKnown } as const;
  const { left } = await resealColumns(queries, keyring, options, context.randomness);
  noteLeft(context, left);
  // Rows of a backup may say anything, so the keyring's tables and the cache of nodes are made anew from what is signed.
  const documents = [...keyring.documents, ...newerMemberships(await readKeyringDocuments(queries), keyring)];
  await replaceKeyringDocuments(queries, documents);
  await rewriteNodes(queries, keyring.membership, context);
  const { clusterId } = keyring;
  await beginClusterLife(queries, { clusterId, incarnation: record.incarnation, createdAt: context.clock.now() });
  await sealLife(database, queries, keyring, record.incarnation, context.randomness);
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
  await requireOpens(queries, { keyring, documents, record });
}

/** An authentic membership was decided in the database first: somebody killed then left it there alone. */
function newerMemberships(inRows: readonly KeyringDocument[], keyring: OpenedKeyring): KeyringDocument[] {
  return inRows.filter(({ path, bytes }) => {
    const place = parseKeyringPath(path);
    if (place?.type !== 'members' || place.number <= keyring.membership.number) return false;
    try {
      return membersSchema.parse(keyring.verify('members', bytes)).number === place.number;
    } catch {
      return false;
    }
  });
}

/** A value that somebody planted before the backup must not keep the rest from being restored. */
export function noteLeft({ progress }: OperationContext, left: readonly string[]): void {
  for (const what of left.slice(0, mostNamed)) progress.note(`warning: left as it is: ${what}`);
  if (left.length > mostNamed) progress.note(`warning: and ${left.length - mostNamed} more sealed values`);
}

const told = (left: readonly string[]): JsonObject =>
  left.length === 0 ? {} : { refusedSecrets: left.length, firstRefused: left.slice(0, mostNamed) };

/**
 * One more than any incarnation seen, with fresh random bits, so that two restores never make the same one. Numbers that
 * somebody planted do not count; where they fill what there is, the random bits alone tell lives apart.
 */
export function nextIncarnation(seen: readonly Incarnation[], random: Uint8Array): Incarnation {
  const highest = seen.reduce(
    (most, { number }) => (number <= maxIncarnationNumber ? Math.max(most, number) : most),
    0,
  );
  return { number: Math.min(highest + 1, maxIncarnationNumber), random: Buffer.from(random).toString('hex') };
}
