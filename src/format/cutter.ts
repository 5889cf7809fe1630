import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { HalfSipHash } from './half-sip-hash.ts';

const tab = 0x09;

const defaultAverageBytes = 1.5 * 1024 * 1024;
/** A chunk is at most this many times the average, unless it is one larger row. */
const maximumPerAverage = 3;
/** Longer rows are refused: a chunk must fit into memory several times over. */
const maxRowBytes = 256 * 1024 * 1024;

export interface CutterOptions {
  /** For messages. */
  readonly table: string;
  /** 8 bytes, secret: cut points tell nothing about the rows. */
  readonly key: Uint8Array;
  /** How many of the first columns identify a row; 0 takes the whole row. */
  readonly keyColumns: number;
  readonly averageBytes?: number;
  /** Called synchronously; `rows` is valid during the call only. */
  readonly onChunk: (rows: Buffer, rowCount: number) => void;
}

/**
 * Cuts a stream of COPY text rows into chunks at places that depend on the rows themselves, so that a change moves the
 * cuts near it and no others. A cut falls after a row with a probability proportional to the row's bytes, decided by the
 * keyed hash of its key columns: an update that leaves the key and the row's length alone moves no cut.
 */
export class Cutter {
  readonly #options: CutterOptions;
  readonly #hash: HalfSipHash;
  /** Hash values per byte of row. */
  readonly #threshold: number;
  readonly #pending: Buffer;
  readonly #pendingView: DataView;
  #pendingBytes = 0;
  #pendingRows = 0;

  constructor(options: CutterOptions) {
    const averageBytes = options.averageBytes ?? defaultAverageBytes;
    this.#options = options;
    this.#hash = new HalfSipHash(options.key);
    this.#threshold = 2 ** 32 / averageBytes;
    this.#pending = Buffer.allocUnsafeSlow(maximumPerAverage * averageBytes);
    this.#pendingView = new DataView(this.#pending.buffer);
  }

  /** Takes one row with its closing newline. Rows over 256 MiB → `configuration`. */
  row(buffer: Buffer, begin: number, end: number): void {
    const rowBytes = end - begin;
    if (this.#pendingBytes + rowBytes > this.#pending.length) {
      this.finish();
      if (rowBytes > this.#pending.length) return this.#largeRow(buffer, begin, end);
    }
    const rowBegin = this.#pendingBytes;
    this.#pendingBytes += buffer.copy(this.#pending, rowBegin, begin, end);
    this.#pendingRows += 1;
    if (this.#hash.hash(this.#pendingView, rowBegin, this.#keyEnd(rowBegin)) < rowBytes * this.#threshold)
      this.finish();
  }

  /** Emits what is pending; call it after the last row. */
  finish(): void {
    if (this.#pendingRows === 0) return;
    const rows = this.#pending.subarray(0, this.#pendingBytes);
    const rowCount = this.#pendingRows;
    this.#pendingBytes = 0;
    this.#pendingRows = 0;
    this.#options.onChunk(rows, rowCount);
  }

  #largeRow(buffer: Buffer, begin: number, end: number): void {
    if (end - begin > maxRowBytes) {
      throw new EnclaveManagerError(
        'configuration',
        `a row of table ${this.#options.table} has ${end - begin} bytes; a backup takes rows up to ${maxRowBytes}`,
        { hint: 'Make the row smaller; nothing was listed.' },
      );
    }
    this.#options.onChunk(buffer.subarray(begin, end), 1);
  }

  /** Where the key part of the last pending row ends. COPY text writes a tab inside a value as `\t`, so every tab ends a column. */
  #keyEnd(rowBegin: number): number {
    const rowEnd = this.#pendingBytes;
    let columns = this.#options.keyColumns;
    if (columns === 0) return rowEnd;
    for (let offset = rowBegin; offset < rowEnd; offset += 1) {
      if (this.#pending[offset] === tab && --columns === 0) return offset;
    }
    return rowEnd;
  }
}
