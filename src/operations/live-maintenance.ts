import type { DatabaseServer } from '#ports/database.ts';
import { readMaintenance, type Maintenance } from '#store/maintenance.ts';
import { askLive } from './ask-live.ts';

/** The maintenance of the live database, for who has not opened its cluster yet; `undefined` also where there is no database. */
export async function readLiveMaintenance(server: DatabaseServer): Promise<Maintenance | undefined> {
  return await askLive(server, async (database) =>
    (await database.tableNames()).includes('maintenance') ? await readMaintenance(database.queries) : undefined,
  );
}
