import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import type { DatabaseConnection, TableRange } from '#ports/database.ts';
import type { RowReader, RowSink } from '#ports/row-transfer.ts';
import { validateOptions } from '#postgresql-protocol/connection-options.ts';
import { countsDiffer, exchangeCopy } from '#postgresql-protocol/copy-exchange.ts';
import { quoteColumns, quoteTable } from '#postgresql-protocol/identifier-quoting.ts';
import { openWire, type WireConnection } from '#postgresql-protocol/wire-connection.ts';
import { tableColumns } from './catalog.ts';
import { columnText, type ColumnText } from './column-text.ts';
import { CsvToCopyText } from './csv-to-copy-text.ts';
import { enterMoment, explainMoment } from './time-travel.ts';

/**
 * Opens a connection that sees the moment of a snapshot. Rows are asked for as CSV, because COPY text of this engine does
 * not tell bytes from the text of them, and given on as PostgreSQL's COPY text.
 */
export async function openRowReader(connection: DatabaseConnection, snapshotToken: string): Promise<RowReader> {
  const wire = await openWire(validateOptions(connection.options));
  try {
    await enterMoment(wire.session, snapshotToken);
  } catch (error) {
    wire.destroy();
    throw explainMoment(error, wire.location);
  }
  return {
    read: async (range, sink) => {
      try {
        return await readRange(wire, range, sink);
      } catch (error) {
        throw explainMoment(error, wire.location);
      }
    },
    close: () => wire.close(),
  };
}

async function readRange(wire: WireConnection, range: TableRange, sink: RowSink): Promise<number> {
  const texts = await readTexts(wire, range);
  let received = 0;
  const converter = new CsvToCopyText(texts, (buffer, begin, end) => {
    received += 1;
    sink.row(buffer, begin, end);
  });
  const { rows, doneSeen } = await exchangeCopy(wire, copyOutStatement(range), {
    row: (buffer, begin, end) => feed(converter, buffer, begin, end, range),
    ready: () => sink.ready(),
  });
  converter.finish();
  if (!doneSeen || rows !== received) throw countsDiffer(range.table, received, rows);
  return received;
}

function feed(converter: CsvToCopyText, buffer: Buffer, begin: number, end: number, { table }: TableRange): void {
  try {
    converter.feed(buffer, begin, end);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new EnclaveManagerError(
      'version-incompatible',
      `rows of table "${table}" are not as expected: ${error.message}`,
      {
        cause: error,
      },
    );
  }
}

/** The types as the server has them at that moment; the columns are those of the range. */
async function readTexts(wire: WireConnection, { table, columns }: TableRange): Promise<ColumnText[]> {
  const found = new Map((await tableColumns(wire.session.rows, table)).columns.map(({ name, type }) => [name, type]));
  // A column or table that is not there, the COPY reports.
  return columns.map((name) => columnText(table, { name, type: found.get(name) ?? 'text' }));
}

function copyOutStatement({ table, columns, keyColumns, condition }: TableRange): string {
  const where = condition === null ? '' : ` WHERE ${condition}`;
  const order = keyColumns === 0 ? '' : ` ORDER BY ${quoteColumns(columns.slice(0, keyColumns))}`;
  return `COPY (SELECT ${quoteColumns(columns)} FROM ${quoteTable(table)}${where}${order}) TO STDOUT WITH CSV`;
}
