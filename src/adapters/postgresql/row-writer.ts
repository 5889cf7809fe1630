import type { DatabaseConnection } from '#ports/database.ts';
import type { RowWriter } from '#ports/row-transfer.ts';
import { validateOptions } from '#postgresql-protocol/connection-options.ts';
import { copyIn } from '#postgresql-protocol/copy-in.ts';
import { quoteColumns, quoteTable } from '#postgresql-protocol/identifier-quoting.ts';
import { openWire } from '#postgresql-protocol/wire-connection.ts';

/** Opens a connection that loads rows. What it loads is durable once a later transaction has been committed. */
export async function openRowWriter(connection: DatabaseConnection): Promise<RowWriter> {
  const wire = await openWire(validateOptions(connection.options));
  try {
    // Until the swap commits, and with it flushes all that was logged before, nobody relies on these rows.
    await wire.session.rows(`SELECT set_config('synchronous_commit', 'off', false)`);
  } catch (error) {
    wire.destroy();
    throw error;
  }
  return {
    load: (table, columns, rows) =>
      copyIn(wire, `COPY ${quoteTable(table)} (${quoteColumns(columns)}) FROM STDIN`, rows),
    close: () => wire.close(),
  };
}
