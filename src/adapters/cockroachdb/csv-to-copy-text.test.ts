import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { columnText } from './column-text.ts';
import { copyTextToCsv } from './copy-text-to-csv.ts';
import { CsvToCopyText } from './csv-to-copy-text.ts';

const asText = columnText('t', { name: 'c', type: 'text' });

/** Fed in pieces that end at the cuts. */
function convert(csv: Buffer, types: readonly string[], cuts: readonly number[] = []): string[] {
  const rows: string[] = [];
  const columns = types.map((type) => columnText('t', { name: 'c', type }));
  const converter = new CsvToCopyText(columns, (buffer, begin, end) => rows.push(buffer.toString('utf8', begin, end)));
  let begin = 0;
  for (const end of [...new Set(cuts)].toSorted((a, b) => a - b).filter((cut) => cut < csv.length)) {
    converter.feed(csv, begin, end);
    begin = end;
  }
  converter.feed(csv, begin, csv.length);
  converter.finish();
  return rows;
}

describe('CSV becomes COPY text', () => {
  it.each<[csv: string, types: string[], rows: string[]]>([
    ['a,b\n', ['text', 'text'], ['a\tb\n']],
    [',""\n', ['text', 'text'], ['\\N\t\n']],
    ['\n', ['text'], ['\\N\n']],
    ['""\n', ['text'], ['\n']],
    ['"a ""quoted""\nline, and\ttab"\n', ['text'], ['a "quoted"\\nline, and\\ttab\n']],
    ['\\N,\\.\n', ['text', 'text'], ['\\\\N\t\\\\.\n']],
    ['\\xdead\n', ['bytea'], ['\\\\xdead\n']],
    ['true,f\n', ['boolean', 'boolean'], ['t\tf\n']],
    [
      '2026-11-22 01:02:03.450+00:00,0001-01-01 00:00:00+00 BC\n',
      ['timestamptz', 'timestamptz'],
      ['2026-11-22 01:02:03.45+00\t0001-01-01 00:00:00+00 BC\n'],
    ],
    ['"{""b"":[1e2],""a"":""\\u003c""}"\n', ['jsonb'], ['{"a": "<", "b": [100]}\n']],
  ])('%j', (csv, types, rows) => {
    expect(convert(Buffer.from(csv), types)).toEqual(rows);
  });

  it.each([
    ['a"b\n', ['text'], /quote stands inside/],
    ['"a"b\n', ['text'], /behind the closing quote/],
    ['a,b\n', ['text'], /more than 1 fields/],
    ['a\n', ['text', 'text'], /1 fields where 2/],
    ['a', ['text'], /ends inside a row/],
    ['"a\n', ['text'], /ends inside a row/],
    ['a,', ['text', 'text'], /ends inside a row/],
  ])('refuses %j', (csv, types, message) => {
    expect(() => convert(Buffer.from(csv), types)).toThrow(message);
  });

  it.each([
    ['maybe\n', 'boolean'],
    ['2026-11-22\n', 'timestamptz'],
    ['2026-11-22 01:02:03+09:00\n', 'timestamptz'],
  ])('refuses %j as a %s', (csv, type) => {
    expect(() => convert(Buffer.from(csv), [type])).toThrow(
      expect.objectContaining({ code: 'version-incompatible' }) as Error,
    );
  });

  it('refuses a type of which it is not known how it is written', () => {
    expect(() => columnText('t', { name: 'c', type: 'float8' })).toThrow(
      expect.objectContaining({ code: 'version-incompatible' }) as Error,
    );
    expect(asText).toBe('as it is');
  });
});

const character = fc.constantFrom(
  'a',
  ',',
  '"',
  '\n',
  '\r',
  '\t',
  '\\',
  '\b',
  '\f',
  '\v',
  ' ',
  '.',
  'N',
  'é',
  '🔐',
  '',
);
const field = fc.oneof(
  fc.constant(null),
  fc.array(character, { maxLength: 12 }).map((each) => each.join('')),
);
const table = fc.integer({ min: 1, max: 4 }).chain((columns) =>
  fc.record({
    rows: fc.array(fc.array(field, { minLength: columns, maxLength: columns }), { maxLength: 8 }),
    types: fc.constant(Array.from({ length: columns }, () => 'text')),
  }),
);

const escapes: Readonly<Record<string, string>> = {
  '\b': '\\b',
  '\t': '\\t',
  '\n': '\\n',
  '\v': '\\v',
  '\f': '\\f',
  '\r': '\\r',
  '\\': '\\\\',
};
const copyText = (row: readonly (string | null)[]): string =>
  `${row.map((value) => (value === null ? '\\N' : value.replaceAll(/[\b\t\n\v\f\r\\]/g, (each) => escapes[each]!))).join('\t')}\n`;

describe('COPY text through CSV and back', () => {
  it('is what it was, wherever the stream is cut', () => {
    fc.assert(
      fc.property(table, fc.array(fc.nat({ max: 300 })), ({ rows, types }, cuts) => {
        const texts = rows.map(copyText);
        expect(convert(copyTextToCsv(Buffer.from(texts.join(''))), types, cuts)).toEqual(texts);
      }),
      { numRuns: 500 },
    );
  });

  it.each(['a', 'a\\q\n', 'a\\', '\\Nx\n', 'a\\N\n'])('refuses %j, which PostgreSQL does not write', (text) => {
    expect(() => copyTextToCsv(Buffer.from(text))).toThrow(SyntaxError);
  });
});
