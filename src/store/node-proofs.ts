import type { NodeId } from '#model/identifiers.ts';
import type { NodeProof } from '#model/openability.ts';
import { tablesOf, type Queries } from './tables.ts';

/** Keeps the newest proof of a host. What is recorded here informs people; it opens nothing. */
export async function recordNodeProof(queries: Queries, nodeId: NodeId, proof: NodeProof): Promise<void> {
  const values = { proved_at: new Date(proof.at), epochs: JSON.stringify(proof.epochs) };
  await tablesOf(queries)
    .insertInto('node_proofs')
    .values({ node_id: nodeId, ...values })
    .onConflict((conflict) => conflict.column('node_id').doUpdateSet(values))
    .execute();
}

/** The newest proof of each host that gave one since this database came to life. */
export async function readNodeProofs(queries: Queries): Promise<Map<NodeId, NodeProof>> {
  const rows = await tablesOf(queries).selectFrom('node_proofs').selectAll().execute();
  return new Map(rows.map((row) => [row.node_id, { at: row.proved_at.toISOString(), epochs: row.epochs }] as const));
}
