import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { uuidv7 } from '#model/identifiers.ts';
import { beginMaintenance, endMaintenance, prolongMaintenance } from '#store/maintenance.ts';
import { serversStillServing } from '#store/servers.ts';
import type { OperationContext } from './context.ts';
import type { Live } from './inspect-live.ts';

/** Maintenance ends by itself when nobody extends it: a killed restore leaves the servers fenced for this long at most. */
const maintenanceMs = 30_000;
const pollMs = 200;

export interface Fence {
  /**
   * Throws `lease-held` when the pause ran out meanwhile, as after this host slept: servers may have written since.
   * Resolves with when it would run out now, by the server's clock; `undefined` where there is nobody to pause.
   */
  assertClosed(): Promise<Date | undefined>;
  /** Lets the servers serve again; where even that fails, the maintenance ends by itself. */
  lift(): Promise<void>;
  /** After a swap: the database that is live now has no maintenance, and must get none from here. */
  leave(): void;
}

const noFence: Fence = { assertClosed: async () => undefined, lift: async () => {}, leave: () => {} };

/** Asks every server to stop serving and resolves when each has acknowledged or its registration has expired. */
export async function fence(context: OperationContext, live: Live): Promise<Fence> {
  if (live.held === undefined) return noFence;
  const { database, lease } = live.held;
  context.progress.phase('asking the servers to pause');
  const maintenanceId = uuidv7(context.clock.now(), context.randomness.bytes(10));
  const request = { maintenanceId, reason: 'restore', begunBy: context.holder, ttlMs: maintenanceMs };
  await database.transaction(async (queries) => await beginMaintenance(queries, request));
  // It never begins anew: a pause that ran out has to be noticed, and after the swap another database has this name.
  const prolong = (): Promise<Date | undefined> => prolongMaintenance(database.queries, maintenanceId, maintenanceMs);
  const extension = setInterval(() => void prolong().catch(() => {}), maintenanceMs / 3).unref();
  const leave = (): void => clearInterval(extension);
  const assertClosed = async (): Promise<Date> => {
    const until = await prolong();
    if (until === undefined) throw ranOut(database.name);
    return until;
  };
  const lift = async (): Promise<void> => {
    leave();
    await endMaintenance(database.queries, maintenanceId).catch(() => {});
  };
  try {
    while ((await serversStillServing(database.queries, maintenanceId)).length > 0) {
      await context.clock.sleep(pollMs, context.signal);
      // Servers that went on because the pause ran out, or was somebody else's since, never acknowledge this one.
      lease.lost.throwIfAborted();
      await assertClosed();
    }
    return { assertClosed, lift, leave };
  } catch (error) {
    await lift();
    throw error;
  }
}

/** Until when the swap may happen: as long as both lease and pause are known to be ours. Throws where one is not any more. */
export async function swapDeadline(live: Live, fenced: Fence): Promise<Date | undefined> {
  const ends = [await live.assertUnchanged(), await fenced.assertClosed()];
  return ends.reduce((first, end) => (first === undefined || (end !== undefined && end < first) ? end : first));
}

function ranOut(database: string): EnclaveManagerError {
  return new EnclaveManagerError(
    'lease-held',
    `the pause of the servers of "${database}" ran out before the swap; nothing was replaced`,
    { hint: 'This process was stopped or cut off from the database for too long. Run the command again.' },
  );
}
