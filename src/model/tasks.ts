import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { isPermitted, type Role } from './roles.ts';

/** What needs a manager's approval before it happens. The first four are the field's, the last three ours. */
export const taskTypes = [
  'NODE_ATTESTATION',
  'CERTIFICATE_ISSUANCE',
  'BUILD_WHITELIST',
  'DOMAIN_WHITELIST',
  'RESTORE',
  'EVICTION',
  'KEY_ROTATION',
] as const;

export const taskStatuses = ['PENDING', 'APPROVED', 'DENIED'] as const;

export type TaskType = (typeof taskTypes)[number];
export type TaskStatus = (typeof taskStatuses)[number];
export type TaskDecision = Exclude<TaskStatus, 'PENDING'>;

/** The status of a task after a decision. A decision is final: `not-permitted` for anybody but a manager, `usage` for a decided task. */
export function decideTask(
  task: { readonly taskId: string; readonly status: TaskStatus },
  decision: TaskDecision,
  role: Role,
): TaskStatus {
  if (!isPermitted(role, 'approve')) {
    throw new EnclaveManagerError('not-permitted', `a ${role} may not decide task ${task.taskId}`, {
      hint: 'Ask a user with the role manager.',
    });
  }
  if (task.status !== 'PENDING') {
    throw new EnclaveManagerError('usage', `task ${task.taskId} is already ${task.status}`, {
      hint: 'Create a new task to have it decided again.',
    });
  }
  return decision;
}
