import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { uuidv7 } from '#model/identifiers.ts';
import { beginMaintenance, endMaintenance, prolongMaintenance } from '#store/maintenance.ts';
import { registrationMs, serversStillServing, type LiveServer } from '#store/servers.ts';
import type { OperationContext } from './context.ts';
import type { Live } from './inspect-live.ts';

/** Maintenance ends by itself when nobody extends it: a killed restore leaves the servers fenced for this long at most. */
const maintenanceMs = 30_000;
const pollMs = 200;
/** Most acknowledge within a second. */
const tellAfterMs = 3_000;
/** A manager that renews its registration looks for a pause right after, and one that is busy or gone does not renew it. */
const longestWaitMs = 4 * registrationMs;
const mostNamed = 10;

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

/**
 * Asks every server to stop serving and resolves when each has acknowledged, or its registration has expired or is renewed by
 * nobody. Throws `lease-held` where one does neither; the pause is over then.
 */
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
  const assertHeld = async (): Promise<void> => {
    // Servers that went on because the pause ran out, or was somebody else's since, never acknowledge this one.
    lease.lost.throwIfAborted();
    await assertClosed();
  };
  try {
    await untilPaused(context, () => serversStillServing(database.queries, maintenanceId), assertHeld);
    return { assertClosed, lift, leave };
  } catch (error) {
    await lift();
    throw error;
  }
}

async function untilPaused(
  { clock, progress, signal }: OperationContext,
  stillServing: () => Promise<readonly LiveServer[]>,
  assertHeld: () => Promise<void>,
): Promise<void> {
  const beganMs = clock.monotonicMs();
  const renewals = new Renewals();
  let told = false;
  for (;;) {
    const serving = await stillServing();
    const nowMs = clock.monotonicMs();
    const awaited = renewals.stillRenewed(serving, nowMs);
    if (awaited.length === 0) return;
    if (nowMs - beganMs >= longestWaitMs) throw neverPaused(awaited);
    if (!told && nowMs - beganMs >= tellAfterMs) {
      progress.note(`waiting for ${namesOf(awaited)} to pause`);
      told = true;
    }
    await clock.sleep(pollMs, signal);
    await assertHeld();
  }
}

/**
 * Whoever writes rows can write any time into a registration. One that a manager keeps has another heartbeat every few seconds, by
 * whatever clock; where it stays the same for as long as a registration lasts, a manager that had it serves nobody any more.
 */
class Renewals {
  readonly #seen = new Map<string, { readonly heartbeat: number; readonly sinceMs: number }>();

  stillRenewed(servers: readonly LiveServer[], nowMs: number): LiveServer[] {
    return servers.filter(({ serverId, heartbeatAt }) => {
      const heartbeat = heartbeatAt.getTime();
      const seen = this.#seen.get(serverId);
      if (seen?.heartbeat === heartbeat) return nowMs - seen.sinceMs < registrationMs;
      this.#seen.set(serverId, { heartbeat, sinceMs: nowMs });
      return true;
    });
  }
}

function namesOf(servers: readonly LiveServer[]): string {
  const names = servers.map(
    ({ host, processId, serverId }) => `the server of host "${host}" (process ${processId}, id ${serverId})`,
  );
  const more = names.length > mostNamed ? [`${names.length - mostNamed} more`] : [];
  return [...names.slice(0, mostNamed), ...more].join(', ');
}

function neverPaused(servers: readonly LiveServer[]): EnclaveManagerError {
  return new EnclaveManagerError(
    'lease-held',
    `${namesOf(servers)} did not pause within ${longestWaitMs / 1000} seconds; nothing was replaced`,
    {
      hint: 'Stop that process and run the command again. Where there is none, somebody keeps writing its row into the table "servers" of the live database: take the right to write away from them.',
    },
  );
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
