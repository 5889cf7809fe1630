import type { NodeId } from '#model/identifiers.ts';
import { statusInMembership, type NodeStatus } from '#model/node.ts';
import { maxKeyringNumber } from '#keys/keyring-paths.ts';
import type { Membership } from '#keys/membership.ts';
import type { Clock } from '#ports/clock.ts';
import { tablesOf, type Queries } from './tables.ts';

export interface NodeRow {
  readonly nodeId: NodeId;
  readonly name: string;
  readonly site: string | null;
  readonly status: NodeStatus;
  readonly sealingProvider: string;
  readonly grade: string;
  readonly createdAt: Date;
}

/**
 * Makes the rows say what the signed membership says: they are a cache of it and never its source. Nodes that it no
 * longer names stay, as `DEACTIVATED`; resolves with those that became so now. A membership older than the one the rows
 * are from changes nothing.
 */
export async function syncNodes(
  queries: Queries,
  membership: Membership,
  ports: { readonly clock: Clock },
): Promise<NodeId[]> {
  if ((await membershipsOfNodes(queries)).some((number) => number > membership.number)) return [];
  return await rewriteNodes(queries, membership, ports);
}

/** The same whatever membership the rows say that they are from: rows of a backup may say anything. */
export async function rewriteNodes(
  queries: Queries,
  membership: Membership,
  ports: { readonly clock: Clock },
): Promise<NodeId[]> {
  const tables = tablesOf(queries);
  const rows = await tables.selectFrom('nodes').select(['node_id', 'status']).execute();
  const statuses = new Map(rows.map((row) => [row.node_id, row.status]));
  const now = ports.clock.now();
  for (const node of membership.nodes) {
    const facts = {
      name: node.name,
      site: node.site,
      status: statusInMembership(statuses.get(node.nodeId), true),
      credential_id: node.credentialId,
      hardware_identity: node.hardwareIdentity,
      sealing_provider: node.sealingProvider,
      grade: node.grade,
      membership_number: membership.number,
      updated_at: now,
    };
    await tables
      .insertInto('nodes')
      .values({ node_id: node.nodeId, labels: '{}', created_at: now, ...facts })
      .onConflict((conflict) => conflict.column('node_id').doUpdateSet(facts))
      .execute();
    statuses.delete(node.nodeId);
  }
  await deactivate(queries, [...statuses.keys()], membership.number, now);
  return [...statuses].filter(([, status]) => status !== 'DEACTIVATED').map(([nodeId]) => nodeId);
}

const mostMemberships = 1000;

/** The numbers of the memberships that the rows are from, newest first; those that none can have were planted. */
export async function membershipsOfNodes(queries: Queries): Promise<number[]> {
  const rows = await tablesOf(queries)
    .selectFrom('nodes')
    .select('membership_number')
    .distinct()
    .where('membership_number', '<=', maxKeyringNumber)
    .orderBy('membership_number', 'desc')
    .limit(mostMemberships)
    .execute();
  return rows.map((row) => row.membership_number);
}

/** By name, then id; deactivated ones too. */
export async function listNodes(queries: Queries): Promise<NodeRow[]> {
  const rows = await tablesOf(queries).selectFrom('nodes').selectAll().orderBy('name').orderBy('node_id').execute();
  return rows.map((row) => ({
    nodeId: row.node_id,
    name: row.name,
    site: row.site,
    status: row.status,
    sealingProvider: row.sealing_provider,
    grade: row.grade,
    createdAt: row.created_at,
  }));
}

/** For heartbeats. A deactivated node stays deactivated. */
export async function setNodeStatus(
  queries: Queries,
  nodeId: NodeId,
  status: NodeStatus,
  ports: { readonly clock: Clock },
): Promise<void> {
  await tablesOf(queries)
    .updateTable('nodes')
    .set({ status, updated_at: ports.clock.now() })
    .where('node_id', '=', nodeId)
    .where('status', '<>', 'DEACTIVATED')
    .execute();
}

async function deactivate(
  queries: Queries,
  nodeIds: readonly NodeId[],
  membershipNumber: number,
  now: Date,
): Promise<void> {
  if (nodeIds.length === 0) return;
  await tablesOf(queries)
    .updateTable('nodes')
    .set({ status: statusInMembership(undefined, false), membership_number: membershipNumber, updated_at: now })
    .where('node_id', 'in', nodeIds)
    .execute();
}
