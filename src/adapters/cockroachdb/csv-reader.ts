import { GrowingBuffer } from './growing-buffer.ts';

const quote = 0x22;
const comma = 0x2c;
const newline = 0x0a;

/** Gets each field: its bytes are `buffer[begin, end)`, valid during the call only; `null` where it is an unquoted empty one. */
export interface CsvConsumer {
  field(bytes: Buffer, begin: number, end: number): void;
  nullField(): void;
  endRow(): void;
}

type State = 'field' | 'unquoted' | 'quoted' | 'quote in quoted';

/**
 * Reads a stream of CSV (RFC 4180 with newlines alone, as COPY writes it) that may be cut anywhere: a message of the
 * protocol need not be a row. Throws `SyntaxError` for anything that COPY does not write.
 */
export class CsvReader {
  readonly #consumer: CsvConsumer;
  readonly #field = new GrowingBuffer();
  #state: State = 'field';
  #isInRow = false;

  constructor(consumer: CsvConsumer) {
    this.#consumer = consumer;
  }

  feed(bytes: Buffer, begin: number, end: number): void {
    let at = begin;
    while (at < end) {
      switch (this.#state) {
        case 'field':
          at = this.#beginField(bytes, at);
          break;
        case 'unquoted':
          at = this.#readUnquoted(bytes, at, end);
          break;
        case 'quoted':
          at = this.#readQuoted(bytes, at, end);
          break;
        case 'quote in quoted':
          at = this.#afterQuote(bytes, at);
          break;
      }
    }
  }

  /** At the end of the stream: a row that has begun must have ended. */
  finish(): void {
    if (this.#isInRow) throw new SyntaxError('the CSV ends inside a row');
  }

  #beginField(bytes: Buffer, at: number): number {
    const byte = bytes[at]!;
    this.#field.clear();
    this.#isInRow = true;
    if (byte === comma || byte === newline) {
      this.#consumer.nullField();
      this.#separate(byte);
      return at + 1;
    }
    if (byte !== quote) {
      this.#state = 'unquoted';
      return at;
    }
    this.#state = 'quoted';
    return at + 1;
  }

  #readUnquoted(bytes: Buffer, begin: number, end: number): number {
    let at = begin;
    while (at < end) {
      const byte = bytes[at]!;
      if (byte === comma || byte === newline) break;
      if (byte === quote) throw new SyntaxError('a quote stands inside a CSV field that has none around it');
      at += 1;
    }
    if (at === end) {
      this.#field.append(bytes, begin, at);
      return at;
    }
    // Most fields lie within one message, and are passed on where they are.
    if (this.#field.length === 0) this.#consumer.field(bytes, begin, at);
    else this.#endField(bytes, begin, at);
    this.#separate(bytes[at]!);
    return at + 1;
  }

  #readQuoted(bytes: Buffer, begin: number, end: number): number {
    const found = bytes.indexOf(quote, begin);
    const at = found === -1 || found >= end ? end : found;
    this.#field.append(bytes, begin, at);
    if (at === end) return at;
    this.#state = 'quote in quoted';
    return at + 1;
  }

  #afterQuote(bytes: Buffer, at: number): number {
    const byte = bytes[at]!;
    if (byte === quote) {
      this.#field.push(quote);
      this.#state = 'quoted';
    } else if (byte === comma || byte === newline) {
      this.#endField(bytes, at, at);
      this.#separate(byte);
    } else {
      throw new SyntaxError('something stands behind the closing quote of a CSV field');
    }
    return at + 1;
  }

  #endField(bytes: Buffer, begin: number, end: number): void {
    this.#field.append(bytes, begin, end);
    this.#consumer.field(this.#field.bytes, 0, this.#field.length);
  }

  #separate(byte: number): void {
    this.#state = 'field';
    if (byte === comma) return;
    this.#isInRow = false;
    this.#consumer.endRow();
  }
}
