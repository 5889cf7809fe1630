import type { Database } from '#ports/database.ts';
import { loadMigrations } from '#store/migrations.ts';
import type { OperationContext } from './context.ts';

const mostNamed = 10;

/** Tables that no migration made are not in a backup; whoever put them there should hear it. */
export async function noteStrangeTables({ progress }: OperationContext, database: Database): Promise<void> {
  const ours = new Set(['schema_migrations', ...loadMigrations().flatMap(({ createdTables }) => createdTables)]);
  const strange = (await database.tableNames()).filter((table) => !ours.has(table));
  for (const table of strange.slice(0, mostNamed)) {
    progress.note(`warning: table "${table}" is not one of the manager's own and is not backed up`);
  }
}
