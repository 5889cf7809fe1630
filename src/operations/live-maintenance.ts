import type { DatabaseServer } from '#ports/database.ts';
import { readMaintenance, type Maintenance } from '#store/maintenance.ts';

/** The maintenance of the live database, for who has not opened its cluster yet; `undefined` also where there is no database. */
export async function readLiveMaintenance(server: DatabaseServer): Promise<Maintenance | undefined> {
  if ((await server.databaseIdentity(server.liveName)) === undefined) return undefined;
  const database = server.open(server.liveName, { connections: 1 });
  try {
    if (!(await database.tableNames()).includes('maintenance')) return undefined;
    return await readMaintenance(database.queries);
  } finally {
    await database.close();
  }
}
