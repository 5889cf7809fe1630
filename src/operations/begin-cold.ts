import type { DatabaseServer } from '#ports/database.ts';
import { forgetAbandonedHolders } from '#store/abandoned-holders.ts';

/** Call it once after starting the embedded server as its owner: after a crash, nobody has to wait for leases to expire. */
export async function beginCold(server: DatabaseServer): Promise<void> {
  if ((await server.databaseIdentity(server.liveName)) === undefined) return;
  const database = server.open(server.liveName, { connections: 1 });
  try {
    if ((await database.tableNames()).includes('maintenance')) await forgetAbandonedHolders(database.queries);
  } finally {
    await database.close();
  }
}
