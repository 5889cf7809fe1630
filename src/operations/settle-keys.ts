import type { KeyringDocument, OpenedKeyring } from '#keys/keyring.ts';
import type { Membership } from '#keys/membership.ts';
import type { AuditEvent } from '#model/audit-event.ts';
import type { Database } from '#ports/database.ts';
import { readCluster } from '#store/cluster.ts';
import { appendAuditEvents, listAuditEvents } from '#store/audit.ts';
import { revokeOutdatedInvites } from '#store/invites.ts';
import { saveKeyringDocuments } from '#store/keyring-documents.ts';
import { isLifeSealed, sealLife } from '#store/life-seal.ts';
import { membershipsOfNodes, syncNodes } from '#store/nodes.ts';
import { resealColumns, type ColumnKeys, type ResealOptions } from '#store/sealed-values.ts';
import type { Queries } from '#store/tables.ts';
import { noteLeft } from './begin-new-life.ts';
import type { Cluster, OperationContext } from './context.ts';

/**
 * The step of a transaction that makes the database say what the keys say: documents, invites of earlier epochs revoked,
 * every sealed column under the current epoch, nodes that are no longer members deactivated, and the audit events of it.
 * Safe to repeat.
 */
export async function settleKeys(
  context: OperationContext,
  queries: Queries,
  keyring: OpenedKeyring,
  given: {
    readonly membership: Membership;
    readonly documents: readonly KeyringDocument[];
    readonly columns: ResealOptions;
    readonly database: Database;
  },
): Promise<void> {
  const { membership, documents, columns } = given;
  const keys = {
    currentEpoch: keyring.epochKeys(membership.currentEpoch),
    epochKeys: (epoch: number) => keyring.epochKeys(epoch),
  };
  await saveKeyringDocuments(queries, documents);
  await renewSeal(context, queries, keys, given);
  await revokeOutdatedInvites(queries, keys, context);
  noteLeft(context, (await resealColumns(queries, keys, columns, context.randomness)).left);
  const deactivated = await syncNodes(queries, membership, context);
  const events = [
    ...(await generationEvents(context, queries, keyring, membership)),
    ...deactivated.map((nodeId) => evictionEvent(context, nodeId, membership)),
  ];
  if (events.length > 0) await appendAuditEvents(queries, events, context);
}

/** Only of a life that was sealed here: a change of keys makes no copy one that serves. */
async function renewSeal(
  { randomness }: OperationContext,
  queries: Queries,
  keys: ColumnKeys,
  { database, columns }: { readonly database: Database; readonly columns: ResealOptions },
): Promise<void> {
  const cluster = await readCluster(queries);
  if (cluster === undefined || !(await isLifeSealed(database, queries, keys, columns.accepted))) return;
  await sealLife(database, queries, keys, cluster.incarnation, randomness);
}

/** The rows are from before the newest membership, as when somebody put an older database back by hand. */
export async function isDatabaseBehind({ database, keyring }: Cluster): Promise<boolean> {
  const [newest] = await membershipsOfNodes(database.queries);
  return newest !== undefined && newest < keyring.membership.number;
}

/** Whoever repeats an interrupted change tells of it once. */
async function generationEvents(
  { holder }: OperationContext,
  queries: Queries,
  { keyGeneration, fingerprint }: OpenedKeyring,
  { number, currentEpoch }: Membership,
): Promise<AuditEvent[]> {
  if (keyGeneration === 1) return [];
  const told = await listAuditEvents(queries, { type: 'KEY', subject: fingerprint, limit: 1 });
  if (told.length > 0) return [];
  const details = { keyGeneration, epoch: currentEpoch, membership: number };
  return [{ type: 'KEY', action: 'keys changed', actor: holder, subject: fingerprint, details }];
}

const evictionEvent = ({ holder }: OperationContext, nodeId: string, membership: Membership): AuditEvent => ({
  type: 'NODE_STATUS',
  action: 'node evicted',
  actor: holder,
  subject: nodeId,
  details: { membership: membership.number },
});
