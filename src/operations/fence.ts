import { uuidv7 } from '#model/identifiers.ts';
import { beginMaintenance, endMaintenance } from '#store/maintenance.ts';
import { serversStillServing } from '#store/servers.ts';
import type { OperationContext } from './context.ts';
import type { Live } from './inspect-live.ts';

/** Maintenance ends by itself when nobody extends it: a killed restore never leaves the servers fenced. */
const maintenanceMs = 60_000;
const pollMs = 200;

export interface Fence {
  /** Lets the servers serve again; where even that fails, the maintenance ends by itself. */
  lift(): Promise<void>;
  /** After a swap: the database that is live now has no maintenance, and must get none from here. */
  leave(): void;
}

const noFence: Fence = { lift: async () => {}, leave: () => {} };

/** Asks every server to stop serving and resolves when each has acknowledged or its registration has expired. */
export async function fence(context: OperationContext, live: Live): Promise<Fence> {
  if (live.held === undefined) return noFence;
  const { database } = live.held;
  context.progress.phase('asking the servers to pause');
  const maintenanceId = uuidv7(context.clock.now(), context.randomness.bytes(10));
  const request = { maintenanceId, reason: 'restore', begunBy: context.holder, ttlMs: maintenanceMs };
  const begin = async (): Promise<void> =>
    await database.transaction(async (queries) => await beginMaintenance(queries, request));
  await begin();
  const extension = setInterval(() => void begin().catch(() => {}), maintenanceMs / 3).unref();
  const leave = (): void => clearInterval(extension);
  const lift = async (): Promise<void> => {
    leave();
    await endMaintenance(database.queries, maintenanceId).catch(() => {});
  };
  try {
    while ((await serversStillServing(database.queries, maintenanceId)).length > 0)
      await context.clock.sleep(pollMs, context.signal);
    return { lift, leave };
  } catch (error) {
    await lift();
    throw error;
  }
}
