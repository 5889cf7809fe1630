import type { TableRange } from './database.ts';

/** One connection at a fixed snapshot, in a worker thread. Rows are PostgreSQL COPY text, each with its closing newline. */
export interface RowReader {
  /** Streams every row of the range, in the server's order, and resolves with their number once the server confirmed the end. */
  read(range: TableRange, sink: RowSink): Promise<number>;
  close(): Promise<void>;
}

export interface RowSink {
  /** Called once a row, synchronously. The bytes are valid during the call only. */
  row(buffer: Buffer, begin: number, end: number): void;
  /** Asked after every network read; a promise stops the reading until it resolves. */
  ready(): Promise<void> | undefined;
}

/** One connection that loads rows, in a worker thread. */
export interface RowWriter {
  /** Loads whole rows as one statement, all or none, and resolves with the number the server says it took. */
  load(table: string, columns: readonly string[], rows: Uint8Array): Promise<number>;
  close(): Promise<void>;
}
