import { serverNow, serverTimeAfter } from './server-time.ts';
import { tablesOf, type Queries } from './tables.ts';

/** How long a registration lasts. A restore waits this long for a manager that died without a word; one that was stopped serves nobody after it. */
export const registrationMs = 15_000;

/** A running manager process, as it announces itself. */
export interface Registration {
  /** UUIDv7 of this process. */
  readonly serverId: string;
  readonly nodeId: string | null;
  readonly host: string;
  readonly processId: number;
  /** Where it listens; `null` before it does. */
  readonly address: string | null;
  readonly productVersion: string;
}

export interface LiveServer extends Registration {
  readonly startedAt: Date;
  readonly heartbeatAt: Date;
  /** The maintenance it has stopped serving for. */
  readonly acknowledgedMaintenanceId: string | null;
}

/** Announces a server for `ttlMs` of the database's time, and forgets those whose time is over. */
export async function registerServer(queries: Queries, server: Registration, ttlMs: number): Promise<void> {
  const tables = tablesOf(queries);
  await tables.deleteFrom('servers').where('expires_at', '<=', serverNow).execute();
  await tables
    .insertInto('servers')
    .values({
      server_id: server.serverId,
      node_id: server.nodeId,
      host: server.host,
      process_id: server.processId,
      address: server.address,
      product_version: server.productVersion,
      started_at: serverNow,
      heartbeat_at: serverNow,
      expires_at: serverTimeAfter(ttlMs),
    })
    .execute();
}

/** `false`: the registration has expired or is not in this database; the server must not serve until it registers again. */
export async function heartbeat(queries: Queries, serverId: string, ttlMs: number): Promise<boolean> {
  const result = await tablesOf(queries)
    .updateTable('servers')
    .set({ heartbeat_at: serverNow, expires_at: serverTimeAfter(ttlMs) })
    .where('server_id', '=', serverId)
    .where('expires_at', '>', serverNow)
    .executeTakeFirst();
  return result.numUpdatedRows === 1n;
}

/** A server says that it serves nobody while this maintenance lasts. */
export async function acknowledgeMaintenance(queries: Queries, serverId: string, maintenanceId: string): Promise<void> {
  await tablesOf(queries)
    .updateTable('servers')
    .set({ acknowledged_maintenance_id: maintenanceId })
    .where('server_id', '=', serverId)
    .execute();
}

export async function removeServer(queries: Queries, serverId: string): Promise<void> {
  await tablesOf(queries).deleteFrom('servers').where('server_id', '=', serverId).execute();
}

/** Times that can be read, infinite ones left out. */
const [earliest, latest] = [new Date('0001-01-01T00:00:00Z'), new Date('9999-12-31T00:00:00Z')];

/** Servers whose registration has not expired, oldest first. */
export async function liveServers(queries: Queries): Promise<LiveServer[]> {
  const rows = await tablesOf(queries)
    .selectFrom('servers')
    .select(['server_id', 'node_id', 'host', 'process_id', 'address', 'product_version'])
    .select(['started_at', 'heartbeat_at', 'acknowledged_maintenance_id'])
    .where('expires_at', '>', serverNow)
    // No process has another number and no clock another time; whoever planted a row must not keep those that are from being seen.
    .where('started_at', '>=', earliest)
    .where('started_at', '<=', latest)
    .where('heartbeat_at', '>=', earliest)
    .where('heartbeat_at', '<=', latest)
    .where('process_id', '>=', 0)
    .where('process_id', '<=', Number.MAX_SAFE_INTEGER)
    .orderBy('started_at')
    .orderBy('server_id')
    .execute();
  return rows.map((row) => ({
    serverId: row.server_id,
    nodeId: row.node_id,
    host: row.host,
    processId: row.process_id,
    address: row.address,
    productVersion: row.product_version,
    startedAt: row.started_at,
    heartbeatAt: row.heartbeat_at,
    acknowledgedMaintenanceId: row.acknowledged_maintenance_id,
  }));
}

/** The servers that may still write: alive, and not known to have stopped for this maintenance. */
export async function serversStillServing(queries: Queries, maintenanceId: string): Promise<LiveServer[]> {
  return (await liveServers(queries)).filter((server) => server.acknowledgedMaintenanceId !== maintenanceId);
}
