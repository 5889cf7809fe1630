import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import type { DetachedIndexes } from '#ports/database.ts';
import { quoteIdentifier, quoteTable } from '#postgresql-protocol/identifier-quoting.ts';
import type { Session } from '#postgresql-protocol/session.ts';
import { readDefinitions } from './definitions.ts';

interface ForeignKey {
  readonly table: string;
  readonly name: string;
  readonly definition: string;
}

/**
 * Takes the foreign keys off while rows are loaded, and nothing else: tables can then come in any order. Indexes are built
 * here by jobs that read the table again and let others write meanwhile, which costs more than keeping them up while
 * loading; and rows are stored in the primary key, which cannot be taken off. Each change is a statement of its own,
 * because a name that was dropped in a transaction is not free in it.
 */
export async function detachForeignKeys(rows: Session['rows']): Promise<DetachedIndexes> {
  const before = await readDefinitions(rows);
  const keys = await rows<ForeignKey>(
    `SELECT c.relname AS "table", con.conname AS name, pg_get_constraintdef(con.oid) AS definition
       FROM pg_catalog.pg_constraint con JOIN pg_catalog.pg_class c ON c.oid = con.conrelid
       JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      WHERE n.nspname = 'public' AND con.contype = 'f' ORDER BY 1, 2`,
  );
  for (const key of keys) {
    await rows(`ALTER TABLE ${quoteTable(key.table)} DROP CONSTRAINT ${quoteIdentifier(key.name)}`);
  }
  return {
    attach: async () => {
      for (const key of keys) {
        await rows(
          `ALTER TABLE ${quoteTable(key.table)} ADD CONSTRAINT ${quoteIdentifier(key.name)} ${key.definition}`,
        );
      }
      compare(before, await readDefinitions(rows));
    },
  };
}

function compare(before: readonly { readonly text: string }[], after: readonly { readonly text: string }[]): void {
  const then = new Set(before.map(({ text }) => text));
  const now = new Set(after.map(({ text }) => text));
  const missing = [...then].find((text) => !now.has(text));
  const added = [...now].find((text) => !then.has(text));
  if (missing === undefined && added === undefined) return;
  throw new EnclaveManagerError(
    'restore-failed',
    `after the foreign keys were made again the definitions differ: ${missing ?? 'nothing'} became ${added ?? 'nothing'}`,
  );
}
