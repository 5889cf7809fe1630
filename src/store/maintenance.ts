import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { serverNow, serverTimeAfter } from './server-time.ts';
import { tablesOf, type Queries } from './tables.ts';

/** While it lasts, servers answer 503 with Retry-After and write nothing. */
export interface Maintenance {
  /** UUIDv7. */
  readonly maintenanceId: string;
  readonly reason: string;
  readonly begunBy: string;
  readonly begunAt: Date;
  readonly expiresAt: Date;
}

export interface MaintenanceRequest {
  readonly maintenanceId: string;
  readonly reason: string;
  readonly begunBy: string;
  /** It ends by itself after this time of the database's, so that a crash never leaves everything stopped. */
  readonly ttlMs: number;
}

/** `lease-held` during another. */
export async function beginMaintenance(queries: Queries, request: MaintenanceRequest): Promise<void> {
  const running = await readMaintenance(queries);
  if (running !== undefined) throw lasts(running);
  await tablesOf(queries)
    .updateTable('maintenance')
    .set({
      maintenance_id: request.maintenanceId,
      reason: request.reason,
      begun_by: request.begunBy,
      begun_at: serverNow,
      expires_at: serverTimeAfter(request.ttlMs),
    })
    .execute();
}

/** Until when it lasts now; `undefined` when it has ended or run out: the servers may serve again. */
export async function prolongMaintenance(
  queries: Queries,
  maintenanceId: string,
  ttlMs: number,
): Promise<Date | undefined> {
  const row = await tablesOf(queries)
    .updateTable('maintenance')
    .set({ expires_at: serverTimeAfter(ttlMs) })
    .where('maintenance_id', '=', maintenanceId)
    .where('expires_at', '>', serverNow)
    .returning('expires_at')
    .executeTakeFirst();
  return row?.expires_at ?? undefined;
}

/** Ends this maintenance; one that has ended, or another, is left as it is. */
export async function endMaintenance(queries: Queries, maintenanceId: string): Promise<void> {
  await tablesOf(queries)
    .updateTable('maintenance')
    .set({ maintenance_id: null, reason: null, begun_by: null, begun_at: null, expires_at: null })
    .where('maintenance_id', '=', maintenanceId)
    .execute();
}

/** `undefined` when there is none, or it has expired. */
export async function readMaintenance(queries: Queries): Promise<Maintenance | undefined> {
  const row = await tablesOf(queries)
    .selectFrom('maintenance')
    .selectAll()
    .where('expires_at', '>', serverNow)
    .executeTakeFirst();
  if (!row?.maintenance_id || !row.begun_at || !row.expires_at) return undefined;
  return {
    maintenanceId: row.maintenance_id,
    reason: row.reason ?? '',
    begunBy: row.begun_by ?? '',
    begunAt: row.begun_at,
    expiresAt: row.expires_at,
  };
}

/**
 * Makes a write depend on there being no maintenance: until the transaction ends none can begin. What is written during one
 * may be lost with the database that a restore replaces. Throws `lease-held`.
 */
export async function requireNoMaintenance(queries: Queries): Promise<void> {
  await tablesOf(queries).selectFrom('maintenance').select('singleton').forShare().execute();
  const running = await readMaintenance(queries);
  if (running !== undefined) throw lasts(running);
}

const lasts = ({ begunBy, expiresAt, reason }: Maintenance): EnclaveManagerError =>
  new EnclaveManagerError('lease-held', `maintenance by ${begunBy} lasts until ${expiresAt.toISOString()}: ${reason}`);
