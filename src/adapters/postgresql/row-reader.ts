import type { DatabaseConnection, TableRange } from '#ports/database.ts';
import type { RowReader, RowSink } from '#ports/row-transfer.ts';
import { validateOptions } from '#postgresql-protocol/connection-options.ts';
import { countsDiffer, exchangeCopy } from '#postgresql-protocol/copy-exchange.ts';
import { errorCode, unreachable } from '#postgresql-protocol/database-errors.ts';
import { quoteColumns, quoteLiteral, quoteTable } from '#postgresql-protocol/identifier-quoting.ts';
import { liftTransactionTimeout } from './snapshot.ts';
import { openWire, type WireConnection } from '#postgresql-protocol/wire-connection.ts';

const newline = 0x0a;

/** Opens a connection that sees the point in time of an open snapshot. Throws `database-unreachable` when that is gone. */
export async function openRowReader(connection: DatabaseConnection, snapshotToken: string): Promise<RowReader> {
  const wire = await openWire(validateOptions(connection.options));
  try {
    await enterSnapshot(wire, snapshotToken);
  } catch (error) {
    wire.destroy();
    throw error;
  }
  return {
    read: (range, sink) => readRange(wire, range, sink),
    close: () => wire.close(),
  };
}

async function enterSnapshot(wire: WireConnection, token: string): Promise<void> {
  const { session, location } = wire;
  await liftTransactionTimeout(session);
  // Pages in their order, whatever the statistics say: the order decides where chunks are cut.
  await session.rows(
    `SELECT set_config('enable_seqscan', 'off', false), set_config('max_parallel_workers_per_gather', '0', false)`,
  );
  await session.rows('BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY');
  try {
    await session.rows(`SET TRANSACTION SNAPSHOT ${quoteLiteral(token)}`);
  } catch (error) {
    if (!['22023', '42704', '55000'].includes(errorCode(error) ?? '')) throw error;
    throw unreachable(location, 'the snapshot has ended; the connection that held it was lost', error);
  }
}

async function readRange(wire: WireConnection, range: TableRange, sink: RowSink): Promise<number> {
  let received = 0;
  const { rows, doneSeen } = await exchangeCopy(wire, copyOutStatement(range), {
    row: (buffer, begin, end) => {
      if (end === begin || buffer[end - 1] !== newline)
        throw new TypeError('a row of COPY text does not end in a newline');
      received += 1;
      sink.row(buffer, begin, end);
    },
    ready: () => sink.ready(),
  });
  if (!doneSeen || rows !== received) throw countsDiffer(range.table, received, rows);
  return received;
}

function copyOutStatement({ table, columns, condition }: TableRange): string {
  if (condition === null) return `COPY ${quoteTable(table)} (${quoteColumns(columns)}) TO STDOUT`;
  return `COPY (SELECT ${quoteColumns(columns)} FROM ${quoteTable(table)} WHERE ${condition}) TO STDOUT`;
}
