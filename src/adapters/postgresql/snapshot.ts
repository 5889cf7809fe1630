import type { Snapshot, TableRange } from '#ports/database.ts';
import { countTableRows, tableColumns } from './catalog.ts';
import type { SessionOptions } from '#postgresql-protocol/connection-options.ts';
import { quoteTable } from '#postgresql-protocol/identifier-quoting.ts';
import { bulkLimits, openSession, type Session } from '#postgresql-protocol/session.ts';
import { backendOf, type RunningBackends } from '#postgresql-protocol/running-backends.ts';

/** 64 MiB of 8 KiB pages: small enough to share among connections, and a boundary never moves as the table grows. */
const pagesPerRange = 8192;

export async function openSnapshot(
  options: SessionOptions,
  tables: readonly string[],
  running: RunningBackends = new Set(),
): Promise<Snapshot> {
  const session = await openSession(options, options.database, bulkLimits);
  const backend = backendOf(session.client);
  if (backend !== undefined) running.add(backend);
  const close = async (): Promise<void> => {
    if (backend !== undefined) running.delete(backend);
    await session.close();
  };
  try {
    const { token, takenAt } = await takeSnapshot(session, tables);
    return {
      token,
      takenAt,
      ranges: (table) => tableRanges(session, table),
      countRows: (table) => countTableRows(session.rows, quoteTable(table)),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** A server or role that limits the length of transactions (PostgreSQL ≥ 17) must not end a long backup. */
export async function liftTransactionTimeout(session: Session): Promise<void> {
  await session.rows(
    `SELECT set_config(name, '0', false) FROM pg_catalog.pg_settings WHERE name = 'transaction_timeout'`,
  );
}

async function takeSnapshot(session: Session, tables: readonly string[]): Promise<{ token: string; takenAt: Date }> {
  await liftTransactionTimeout(session);
  await session.rows('BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY');
  // LOCK TABLE takes no snapshot; so whoever emptied a table before we had its lock is seen whole by the snapshot.
  if (tables.length > 0) await session.rows(`LOCK TABLE ${tables.map(quoteTable).join(', ')} IN ACCESS SHARE MODE`);
  const [row] = await session.rows<{ token: string; takenAt: Date }>(
    `SELECT pg_export_snapshot() AS token, statement_timestamp() AS "takenAt"`,
  );
  return row!;
}

async function tableRanges(session: Session, table: string): Promise<TableRange[]> {
  const { columns, keyColumns } = await tableColumns(session.rows, table);
  const [size] = await session.rows<{ bytes: number; pages: number; storage: string }>(
    `SELECT pg_table_size(c.oid) AS bytes, c.relkind AS storage,
            pg_relation_size(c.oid) / current_setting('block_size')::int8 AS pages
       FROM pg_catalog.pg_class c WHERE c.oid = $1::regclass`,
    [quoteTable(table)],
  );
  // A partitioned table has no pages of its own: it is read as one.
  const parts = size!.storage === 'r' ? Math.max(1, Math.ceil(size!.pages / pagesPerRange)) : 1;
  const names = columns.map(({ name }) => name);
  return Array.from({ length: parts }, (_, part) => ({
    table,
    columns: names,
    keyColumns,
    condition: pageCondition(part, parts),
    estimatedBytes: Math.ceil(size!.bytes / parts),
  }));
}

/** The last part is open: rows that were moved or added behind it before the snapshot belong to it. */
function pageCondition(part: number, parts: number): string | null {
  if (parts === 1) return null;
  const begin = `ctid >= '(${part * pagesPerRange},0)'::tid`;
  return part === parts - 1 ? begin : `${begin} AND ctid < '(${(part + 1) * pagesPerRange},0)'::tid`;
}
