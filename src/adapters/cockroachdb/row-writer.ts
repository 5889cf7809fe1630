import type { DatabaseConnection } from '#ports/database.ts';
import type { RowWriter } from '#ports/row-transfer.ts';
import { validateOptions } from '#postgresql-protocol/connection-options.ts';
import { copyIn } from '#postgresql-protocol/copy-in.ts';
import { quoteColumns, quoteTable } from '#postgresql-protocol/identifier-quoting.ts';
import { runAgain } from '#postgresql-protocol/serializable.ts';
import { openWire } from '#postgresql-protocol/wire-connection.ts';
import { copyTextToCsv } from './copy-text-to-csv.ts';

/** Opens a connection that loads rows: a chunk is one statement, and so one transaction, which can run again. */
export async function openRowWriter(connection: DatabaseConnection): Promise<RowWriter> {
  const wire = await openWire(validateOptions(connection.options));
  return {
    load: async (table, columns, rows) => {
      const statement = `COPY ${quoteTable(table)} (${quoteColumns(columns)}) FROM STDIN WITH CSV`;
      const csv = copyTextToCsv(rows);
      return await runAgain(wire.location, () => copyIn(wire, statement, csv));
    },
    close: () => wire.close(),
  };
}
