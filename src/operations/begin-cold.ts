import type { DatabaseServer } from '#ports/database.ts';
import { forgetAbandonedHolders } from '#store/abandoned-holders.ts';
import { askLive } from './ask-live.ts';

/** Call it once after starting the embedded server as its owner: after a crash, nobody has to wait for leases to expire. */
export async function beginCold(server: DatabaseServer): Promise<void> {
  await askLive(server, async (database) => {
    if ((await database.tableNames()).includes('maintenance')) await forgetAbandonedHolders(database.queries);
  });
}
