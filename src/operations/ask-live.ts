import type { Database, DatabaseServer } from '#ports/database.ts';

/** Asks the live database something over one connection of its own; `undefined` where there is no such database. */
export async function askLive<T>(
  server: DatabaseServer,
  ask: (database: Database, identity: string) => Promise<T>,
): Promise<T | undefined> {
  const identity = await server.databaseIdentity(server.liveName);
  if (identity === undefined) return undefined;
  const database = server.open(server.liveName, { connections: 1 });
  try {
    return await ask(database, identity);
  } finally {
    await database.close();
  }
}
