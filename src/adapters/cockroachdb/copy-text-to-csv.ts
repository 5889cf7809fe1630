import { GrowingBuffer } from './growing-buffer.ts';

const backslash = 0x5c;
const tab = 0x09;
const newline = 0x0a;
const quote = 0x22;
const capitalN = 0x4e;

/** Letter behind a backslash → byte, for the escapes that PostgreSQL writes; 0 for others. */
const unescapes = new Uint8Array(256);
for (const [letter, byte] of [
  ['b', 0x08],
  ['t', 0x09],
  ['n', 0x0a],
  ['v', 0x0b],
  ['f', 0x0c],
  ['r', 0x0d],
  ['\\', backslash],
] as const) {
  unescapes[letter.charCodeAt(0)] = byte;
}

/**
 * Turns whole rows of PostgreSQL's COPY text into CSV. Every value has quotes, so that an empty one is not NULL, a row
 * `\.` not the end, and spaces stay. Throws `SyntaxError` for rows that PostgreSQL does not write.
 */
export function copyTextToCsv(rows: Uint8Array): Buffer {
  const csv = new GrowingBuffer(Math.max(1024, rows.length + (rows.length >> 2)));
  let at = 0;
  while (at < rows.length) {
    at = writeField(rows, at, csv);
    const separator = rows[at];
    if (separator !== tab && separator !== newline)
      throw new SyntaxError('a row of COPY text does not end in a newline');
    csv.push(separator === tab ? 0x2c : newline);
    at += 1;
  }
  if (rows.length > 0 && rows.at(-1) !== newline) throw new SyntaxError('a row of COPY text does not end in a newline');
  return csv.bytes.subarray(0, csv.length);
}

/** Resolves the field that begins at `begin`, and returns where its separator stands. */
function writeField(rows: Uint8Array, begin: number, csv: GrowingBuffer): number {
  if (rows[begin] === backslash && rows[begin + 1] === capitalN) return begin + 2;
  csv.push(quote);
  let at = begin;
  for (; at < rows.length; at += 1) {
    let byte = rows[at]!;
    if (byte === tab || byte === newline) break;
    if (byte === backslash) {
      at += 1;
      byte = unescapes[rows[at] ?? 0]!;
      if (byte === 0) throw new SyntaxError('a row of COPY text has an escape that PostgreSQL does not write');
    } else if (byte === quote) csv.push(quote);
    csv.push(byte);
  }
  csv.push(quote);
  return at;
}
