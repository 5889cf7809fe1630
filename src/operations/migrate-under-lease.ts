import type { Database } from '#ports/database.ts';
import { acquireLease } from '#store/leases.ts';
import { migrate, schemaVersion, type MigrateResult } from '#store/migrate.ts';
import { loadMigrations } from '#store/migrations.ts';
import { operationLease, type OperationContext } from './context.ts';

/**
 * Brings the schema of a database that holds a cluster forward, under the lease, so that no backup or restore sees it
 * half done. Where nothing is to be done it takes no lease. Throws `lease-held`, `version-incompatible`.
 */
export async function migrateUnderLease(
  context: OperationContext,
  database: Database,
  options: { readonly waitMs?: number } = {},
): Promise<MigrateResult> {
  if ((await schemaVersion(database)) >= loadMigrations().length) return await migrate(database);
  const { holder, signal } = context;
  const lease = await acquireLease(database, { ...operationLease, holder, signal, ...options }, context);
  try {
    return await migrate(database);
  } finally {
    await lease.release();
  }
}
