import type { ColumnText } from './column-text.ts';
import { CsvReader } from './csv-reader.ts';
import { GrowingBuffer } from './growing-buffer.ts';

const backslash = 0x5c;
const tab = 0x09;
const newline = 0x0a;

/** What stands behind the backslash where COPY text escapes a byte; 0 for those that it leaves alone. */
const escapes = new Uint8Array(256);
for (const [byte, letter] of [
  [0x08, 'b'],
  [0x09, 't'],
  [0x0a, 'n'],
  [0x0b, 'v'],
  [0x0c, 'f'],
  [0x0d, 'r'],
  [backslash, '\\'],
] as const) {
  escapes[byte] = letter.charCodeAt(0);
}

/** A row of COPY text with its newline: `buffer[begin, end)`, valid during the call only. */
export type RowConsumer = (buffer: Buffer, begin: number, end: number) => void;

/** Turns what `COPY … TO STDOUT WITH CSV` sends into rows of PostgreSQL's COPY text. */
export class CsvToCopyText {
  readonly #columns: readonly ColumnText[];
  readonly #onRow: RowConsumer;
  readonly #row = new GrowingBuffer();
  readonly #reader: CsvReader;
  #column = 0;

  constructor(columns: readonly ColumnText[], onRow: RowConsumer) {
    this.#columns = columns;
    this.#onRow = onRow;
    this.#reader = new CsvReader({
      field: (bytes, begin, end) => this.#field(bytes, begin, end),
      nullField: () => this.#null(),
      endRow: () => this.#endRow(),
    });
  }

  feed(bytes: Buffer, begin: number, end: number): void {
    this.#reader.feed(bytes, begin, end);
  }

  finish(): void {
    this.#reader.finish();
  }

  #field(bytes: Buffer, begin: number, end: number): void {
    const text = this.#nextColumn();
    if (text === 'as it is') return this.#escape(bytes, begin, end);
    const made = Buffer.from(text(bytes.toString('utf8', begin, end)));
    return this.#escape(made, 0, made.length);
  }

  #null(): void {
    this.#nextColumn();
    this.#row.push(backslash);
    this.#row.push(0x4e);
  }

  #nextColumn(): ColumnText {
    const text = this.#columns[this.#column];
    if (text === undefined) throw new SyntaxError(`a row has more than ${this.#columns.length} fields`);
    if (this.#column > 0) this.#row.push(tab);
    this.#column += 1;
    return text;
  }

  #escape(bytes: Buffer, begin: number, end: number): void {
    const row = this.#row;
    row.reserve(2 * (end - begin));
    const target = row.bytes;
    let length = row.length;
    for (let at = begin; at < end; at += 1) {
      const byte = bytes[at]!;
      const escape = escapes[byte]!;
      if (escape !== 0) target[length++] = backslash;
      target[length++] = escape === 0 ? byte : escape;
    }
    row.length = length;
  }

  #endRow(): void {
    if (this.#column !== this.#columns.length) {
      throw new SyntaxError(`a row has ${this.#column} fields where ${this.#columns.length} are wanted`);
    }
    this.#row.push(newline);
    this.#onRow(this.#row.bytes, 0, this.#row.length);
    this.#row.clear();
    this.#column = 0;
  }
}
