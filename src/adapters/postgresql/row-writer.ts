import type { DatabaseConnection } from '#ports/database.ts';
import type { RowWriter } from '#ports/row-transfer.ts';
import { validateOptions } from '#postgresql-protocol/connection-options.ts';
import { exchangeCopy } from '#postgresql-protocol/copy-exchange.ts';
import { quoteColumns, quoteTable } from '#postgresql-protocol/identifier-quoting.ts';
import { openWire, type WireConnection } from '#postgresql-protocol/wire-connection.ts';
import { copyDataHeader, copyDoneMessage } from '#postgresql-protocol/wire-messages.ts';

const pieceBytes = 1024 * 1024;

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
      loadRows(wire, `COPY ${quoteTable(table)} (${quoteColumns(columns)}) FROM STDIN`, rows),
    close: () => wire.close(),
  };
}

async function loadRows(wire: WireConnection, statement: string, rows: Uint8Array): Promise<number> {
  let over = false;
  let sending: Promise<void> | undefined;
  try {
    const end = await exchangeCopy(wire, statement, {
      accepted: () => {
        sending = sendRows(wire, rows, () => over);
      },
    });
    return end.rows;
  } finally {
    over = true;
    await sending;
  }
}

/** Stops early when the server has refused the rows: after that it reads and drops whatever still comes. */
async function sendRows(wire: WireConnection, rows: Uint8Array, isOver: () => boolean): Promise<void> {
  for (let at = 0; at < rows.length && !isOver(); at += pieceBytes) {
    const piece = rows.subarray(at, at + pieceBytes);
    await wire.write(copyDataHeader(piece.length), piece);
  }
  if (!isOver()) await wire.write(copyDoneMessage());
}
