import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { listAuditEvents } from '#store/audit.ts';
import { lastRuns } from '#store/runs.ts';
import type { Cluster } from './context.ts';
import type { AskedFreshness } from './hidden-backups.ts';
import { rememberedSequence } from './remember-sequence.ts';

/**
 * New keys leave out what they were not told of: without the repository they would disown its marker and every backup in
 * it, for good. Throws `configuration` where this manager runs without a repository while the cluster is known to have one, and
 * `usage` where it has none and something was said of its backups.
 */
export async function refuseUnseenRepository(cluster: Cluster, asked: AskedFreshness): Promise<void> {
  if (cluster.store !== undefined) return;
  const sign = await signOfRepository(cluster);
  if (sign === undefined) {
    refuseUncheckable(asked);
    return;
  }
  throw new EnclaveManagerError(
    'configuration',
    `this manager runs without a repository (ENCLAVE_MANAGER_REPOSITORY=none), but the cluster has one: ${sign}; new keys would disown what lies there`,
    { hint: 'Set ENCLAVE_MANAGER_REPOSITORY to the repository of the cluster, then run the command again.' },
  );
}

function refuseUncheckable({ atLeastSequence, missingAfter }: AskedFreshness): void {
  const options = [
    ...(atLeastSequence === undefined ? [] : ['--at-least-sequence']),
    ...(missingAfter === undefined ? [] : ['--accept-missing-after']),
  ];
  if (options.length === 0) return;
  throw new EnclaveManagerError(
    'usage',
    `${options.join(' and ')} cannot be held to: this manager runs without a repository (ENCLAVE_MANAGER_REPOSITORY=none)`,
    { hint: 'Leave it out, or set ENCLAVE_MANAGER_REPOSITORY to the repository of the cluster.' },
  );
}

/** A sentence about what shows that the cluster has used a repository; `undefined` where nothing does. */
export async function signOfRepository(
  cluster: Pick<Cluster, 'database' | 'keyring' | 'localState'>,
): Promise<string | undefined> {
  const sequence = await rememberedSequence(cluster);
  if (sequence > 0) return `this host has seen its backup of sequence ${sequence}`;
  const { queries } = cluster.database;
  for (const [kind, { newestSucceeded: run }] of Object.entries(await lastRuns(queries))) {
    if (run !== undefined) return `a ${kind} of ${run.beganAt.toISOString()} succeeded`;
  }
  // A restored database has the events of before, and no runs.
  for (const type of ['BACKUP', 'RESTORE'] as const) {
    const [event] = await listAuditEvents(queries, { type, limit: 1 });
    if (event !== undefined) return `event ${event.position} of the audit log says "${event.action}"`;
  }
  const { clusterId } = cluster.keyring;
  const created = await listAuditEvents(queries, { type: 'KEY', subject: clusterId });
  const repository = created.find(({ details }) => details['repository'] !== undefined)?.details['repository'];
  return typeof repository === 'string' ? `it was created with ${repository.slice(0, 200)}` : undefined;
}
