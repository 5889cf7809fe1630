import { tablesOf, type Queries } from './tables.ts';

/**
 * Frees what holders left behind that cannot be alive: leases, registrations, maintenance. For a server that was just
 * started by its only owner, before anybody else could connect, and for a database that begins a new life after it was
 * replaced. Counters go on: a holder that was merely stopped and comes back is still fenced.
 */
export async function forgetAbandonedHolders(queries: Queries): Promise<void> {
  const tables = tablesOf(queries);
  await tables.updateTable('leases').set({ holder: null, expires_at: null }).execute();
  await tables.deleteFrom('servers').execute();
  await tables
    .updateTable('maintenance')
    .set({ maintenance_id: null, reason: null, begun_by: null, begun_at: null, expires_at: null })
    .execute();
}
