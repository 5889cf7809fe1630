import { tablesOf, type Queries } from './tables.ts';

/**
 * For a database that begins a new life after it was replaced: nobody holds a lease, serves or pauses in it any more.
 * Counters go on, so that no fencing token repeats.
 */
export async function forgetFormerLife(queries: Queries): Promise<void> {
  const tables = tablesOf(queries);
  await tables.updateTable('leases').set({ holder: null, expires_at: null }).execute();
  await tables.deleteFrom('servers').execute();
  await tables
    .updateTable('maintenance')
    .set({ maintenance_id: null, reason: null, begun_by: null, begun_at: null, expires_at: null })
    .execute();
}
