import { toEnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { admissionLease, type Host, type OperationContext } from '#operations/context.ts';
import { admitJoinRequests } from '#operations/admit-node.ts';
import { openCluster } from '#operations/open-cluster.ts';
import type { Database } from '#ports/database.ts';
import type { Lease } from '#store/held-lease.ts';
import { pendingJoinRequests } from '#store/join-requests.ts';
import { acquireLease } from '#store/leases.ts';
import type { Gate } from './gate.ts';

export interface AdmissionParts {
  readonly host: Host;
  readonly database: Database;
  readonly gate: Gate;
  readonly log: (message: string) => void;
}

const pollMs = 1_000;
const failureRetryMs = 10_000;

/** Answers hosts that ask to be enrolled, until the signal. */
export async function runAdmission(context: OperationContext, parts: AdmissionParts): Promise<void> {
  const { clock, signal } = context;
  while (!signal.aborted) {
    const waitMs = await step(context, parts);
    await clock.sleep(waitMs, signal).catch(() => {});
  }
}

async function step(context: OperationContext, parts: AdmissionParts): Promise<number> {
  try {
    await parts.gate.work(context.signal, (signal) => answer({ ...context, signal }, parts));
    return pollMs;
  } catch (error) {
    if (context.signal.aborted || !parts.gate.isOpen) return pollMs;
    const { message, code } = toEnclaveManagerError(error);
    if (code === 'lease-held') return pollMs;
    // Presence says that already.
    if (code !== 'database-unreachable') parts.log(`no host can be enrolled: ${message}`);
    return failureRetryMs;
  }
}

/** Under a lease of its own: two managers that admit at once would wrap the keys twice and make one membership twice. */
async function answer(context: OperationContext, parts: AdmissionParts): Promise<void> {
  const { database } = parts;
  if ((await pendingJoinRequests(database.queries)).length === 0) return;
  const lease = await acquireLease(database, { ...admissionLease, holder: context.holder }, context);
  try {
    context.crashPoints.reach('admit.lease-taken');
    await answerAll({ ...context, signal: AbortSignal.any([context.signal, lease.lost]) }, parts, lease);
  } finally {
    await lease.release();
  }
}

async function answerAll(
  context: OperationContext,
  { host, database, log }: AdmissionParts,
  lease: Lease,
): Promise<void> {
  while ((await pendingJoinRequests(database.queries)).length > 0) {
    context.signal.throwIfAborted();
    // Each admission makes a new membership: open the newest.
    const cluster = await openCluster(context, host);
    try {
      for (const nodeId of await admitJoinRequests(context, cluster, lease, host.hardwareTrust))
        log(`enrolled node ${nodeId}`);
    } finally {
      await cluster.database.close();
    }
  }
}
