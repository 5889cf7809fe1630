import { toEnclaveManagerError } from '#errors/enclave-manager-error.ts';
import type { Host, OperationContext } from '#operations/context.ts';
import { admitJoinRequests } from '#operations/enrol-node.ts';
import { openCluster } from '#operations/open-cluster.ts';
import type { Database } from '#ports/database.ts';
import { pendingJoinRequests } from '#store/join-requests.ts';
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
    // Presence says that already.
    if (code !== 'database-unreachable') parts.log(`no host can be enrolled: ${message}`);
    return failureRetryMs;
  }
}

async function answer(context: OperationContext, { host, database, log }: AdmissionParts): Promise<void> {
  while ((await pendingJoinRequests(database.queries)).length > 0) {
    context.signal.throwIfAborted();
    // Each admission makes a new membership, and another manager may have made one: open the newest.
    const cluster = await openCluster(context, host);
    try {
      for (const nodeId of await admitJoinRequests(context, cluster)) log(`enrolled node ${nodeId}`);
    } finally {
      await cluster.database.close();
    }
  }
}
