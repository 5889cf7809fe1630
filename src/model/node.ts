/** A node's status, in the field's words. */
export const nodeStatuses = ['RUNNING', 'STOPPED', 'FAILED', 'DEACTIVATED', 'INPROGRESS', 'PROVISIONED'] as const;

export type NodeStatus = (typeof nodeStatuses)[number];

/**
 * A node's status after the signed membership was read: the membership alone decides who is deactivated, and a node
 * that it names keeps the status that its heartbeats gave it. `current` is `undefined` for a node not seen before.
 */
export function statusInMembership(current: NodeStatus | undefined, isMember: boolean): NodeStatus {
  if (!isMember) return 'DEACTIVATED';
  return current === undefined || current === 'DEACTIVATED' ? 'PROVISIONED' : current;
}
