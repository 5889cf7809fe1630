import { onTestFinished } from 'vitest';
import { systemClock } from '#adapters/system/clock.ts';
import { systemRandomness } from '#adapters/system/randomness.ts';
import type { Database, DatabaseServer } from '#ports/database.ts';
import { migrate } from '#store/migrate.ts';
import { freshDatabaseName, startTestServer } from '../fixtures/postgresql.ts';

export const ports = { clock: systemClock, randomness: systemRandomness };

export interface StoreDatabase {
  readonly server: DatabaseServer;
  readonly database: Database;
  /** Another pool on the same database: another process, as far as the server can tell. */
  another(): Database;
}

/** An empty database of its own for the running test. */
export async function emptyDatabase(): Promise<StoreDatabase> {
  const { server } = await startTestServer();
  const name = freshDatabaseName();
  await server.createDatabase(name);
  const opened: Database[] = [];
  const another = (): Database => {
    const database = server.open(name);
    opened.push(database);
    return database;
  };
  onTestFinished(async () => {
    await Promise.all(opened.map((database) => database.close()));
    await server.dropDatabase(name);
  });
  return { server, database: another(), another };
}

/** The same with the newest schema. */
export async function migratedDatabase(): Promise<StoreDatabase> {
  const opened = await emptyDatabase();
  await migrate(opened.database);
  return opened;
}
