import { readFileSync } from 'node:fs';

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { Cutter, type CutterOptions } from './cutter.ts';

const key = Buffer.from('0011223344556677', 'hex');
const averageBytes = 2000;

interface Chunk {
  readonly rows: string;
  readonly count: number;
}

function cut(rows: readonly string[], options: Partial<CutterOptions> = {}): Chunk[] {
  const chunks: Chunk[] = [];
  const onChunk = (bytes: Buffer, count: number): void => {
    chunks.push({ rows: bytes.toString('latin1'), count });
  };
  const cutter = new Cutter({ table: 'audit_events', key, keyColumns: 1, averageBytes, onChunk, ...options });
  for (const row of rows) {
    // Rows come at changing places of a network buffer.
    const buffer = Buffer.from(`noise${row}noise`, 'latin1');
    cutter.row(buffer, 5, 5 + row.length);
  }
  cutter.finish();
  return chunks;
}

const row = (id: number, text = 'x'.repeat(20 + ((id * 7919) % 80))): string =>
  `${String(id * 2654435761).padStart(14, '0')}\t${text}\n`;
const table = (count: number, first = 0): string[] => Array.from({ length: count }, (_, index) => row(first + index));
const contents = (chunks: readonly Chunk[]): string[] => chunks.map(({ rows }) => rows);

function newBytes(before: readonly string[], after: readonly string[]): number {
  const known = new Set(before);
  return after.filter((chunk) => !known.has(chunk)).reduce((total, chunk) => total + chunk.length, 0);
}

describe('cutting', () => {
  const anyRows = fc
    .array(fc.tuple(fc.nat(), fc.string({ unit: 'grapheme-ascii', maxLength: 9000 })), { maxLength: 60 })
    .map((list) => list.map(([id, text]) => `${id}\t${text.replaceAll(/[\t\n\\]/g, '.')}\n`));

  it('gives back every row in order, in whole rows, and counts them', () => {
    fc.assert(
      fc.property(anyRows, fc.constantFrom(0, 1, 2, 5), (rows, keyColumns) => {
        const chunks = cut(rows, { keyColumns });
        expect(contents(chunks).join('')).toBe(rows.join(''));
        expect(chunks.map(({ rows: text }) => text.split('\n').length - 1)).toEqual(chunks.map(({ count }) => count));
      }),
    );
  });

  it('keeps every chunk within three times the average, unless it is one larger row', () => {
    fc.assert(
      fc.property(anyRows, (rows) => {
        for (const { rows: text, count } of cut(rows))
          expect(text.length <= 3 * averageBytes || count === 1).toBe(true);
      }),
    );
  });

  it('makes chunks of about the average size, and cuts neither by count nor in step with the rows', () => {
    const chunks = cut(table(40_000));
    const average = contents(chunks).join('').length / chunks.length;
    expect(average).toBeGreaterThan(averageBytes * 0.8);
    expect(average).toBeLessThan(averageBytes * 1.1);
    expect(new Set(chunks.map(({ count }) => count)).size).toBeGreaterThan(20);
  });

  it('makes nothing of no rows', () => {
    expect(cut([])).toEqual([]);
  });

  it('leaves all chunks but the last as they were when rows are appended', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 600 }), fc.integer({ min: 0, max: 100 }), (count, added) => {
        const before = contents(cut(table(count)));
        expect(contents(cut(table(count + added))).slice(0, before.length - 1)).toEqual(before.slice(0, -1));
      }),
    );
  });

  it('comes back into step after rows were inserted or deleted', () => {
    const rows = table(5000);
    const before = contents(cut(rows));
    fc.assert(
      fc.property(fc.nat({ max: 4990 }), fc.nat({ max: 10 }), fc.nat({ max: 10 }), (at, deleted, inserted) => {
        const after = contents(cut(rows.toSpliced(at, deleted, ...table(inserted, 100_000))));
        // Most often one or two chunks are new; a run of chunks cut at the maximum can shift a few more.
        expect(newBytes(before, after)).toBeLessThan(12 * averageBytes);
      }),
      { numRuns: 60 },
    );
  });

  it('moves no cut when a value changes that is neither key nor length', () => {
    const rows = table(5000);
    const before = contents(cut(rows));
    const after = contents(cut(rows.with(2500, row(2500).replaceAll('x', 'y'))));
    expect(after).toHaveLength(before.length);
    expect(after.filter((chunk, index) => chunk !== before[index])).toHaveLength(1);
  });

  it('depends on the key', () => {
    const rows = table(3000);
    const other = contents(cut(rows, { key: Buffer.from('ffeeddccbbaa9988', 'hex') }));
    expect(newBytes(contents(cut(rows)), other)).toBe(rows.join('').length);
  });

  it('decides by the key columns only', () => {
    const one = cut(
      Array.from({ length: 3000 }, (_, index) => `${index}\t${index % 7}\taaaaaaaaaaaaaaa\n`),
      { keyColumns: 2 },
    );
    const other = cut(
      Array.from({ length: 3000 }, (_, index) => `${index}\t${index % 7}\tbbbbbbbbbbbbbbb\n`),
      { keyColumns: 2 },
    );
    expect(one.length).toBeGreaterThan(10);
    expect(one.map(({ count }) => count)).toEqual(other.map(({ count }) => count));
  });

  it('makes a chunk of its own of a row beyond the maximum, after what came before it', () => {
    const large = `999\t${'z'.repeat(3 * averageBytes)}\n`;
    const chunks = contents(cut([row(1), large, row(2)]));
    expect(chunks).toContain(large);
    expect(chunks.join('')).toBe(row(1) + large + row(2));
  });

  it('refuses a row over 256 MiB, naming the table and the size', () => {
    const cutter = new Cutter({ table: 'settings', key, keyColumns: 1, onChunk: () => undefined });
    const size = 256 * 1024 * 1024 + 1;
    expect(() => cutter.row(Buffer.alloc(0), 0, size)).toThrow(`a row of table settings has ${size} bytes`);
  });

  it('cuts as the test vectors say', () => {
    const vectors = JSON.parse(readFileSync('test/vectors/cutter.json', 'utf8')) as CutterVectors;
    const chunks = cut(vectors.rows, {
      key: Buffer.from(vectors.key, 'hex'),
      keyColumns: vectors.keyColumns,
      averageBytes: vectors.averageBytes,
    });
    expect(chunks.map(({ count }) => count)).toEqual(vectors.rowsPerChunk);
  });
});

interface CutterVectors {
  readonly key: string;
  readonly keyColumns: number;
  readonly averageBytes: number;
  readonly rows: readonly string[];
  readonly rowsPerChunk: readonly number[];
}

describe('cutting a table of 64 MB', () => {
  const tableBytes = 64 * 1024 * 1024;
  const rowBytes = 128;
  const rowCount = tableBytes / rowBytes;

  function largeTable(changed: { readonly begin: number; readonly end: number }): Buffer {
    const bytes = Buffer.alloc(tableBytes, 'abcdefghijklmnopqrstuvwxyz0123456789');
    for (let index = 0; index < rowCount; index += 1) {
      const isChanged = index >= changed.begin && index < changed.end;
      bytes.write(`${String(index).padStart(36, '0')}\t${isChanged ? 'changed!' : 'original'}\t`, index * rowBytes);
      bytes[(index + 1) * rowBytes - 1] = 0x0a;
    }
    return bytes;
  }

  function cutLarge(bytes: Buffer): string[] {
    const chunks: string[] = [];
    const onChunk = (rows: Buffer): void => {
      chunks.push(rows.toString('latin1'));
    };
    // As large in relation to the table as the default is to one of 1 GB.
    const cutter = new Cutter({ table: 'builds', key, keyColumns: 1, averageBytes: 96 * 1024, onChunk });
    for (let begin = 0; begin < tableBytes; begin += rowBytes) cutter.row(bytes, begin, begin + rowBytes);
    cutter.finish();
    return chunks;
  }

  const before = cutLarge(largeTable({ begin: 0, end: 0 }));

  it.each([0, 0.25, 0.6, 0.99])('makes at most 2 %% of it new when 1 %% changes in one place (from %d on)', (place) => {
    const begin = Math.floor(rowCount * place);
    const after = cutLarge(largeTable({ begin, end: begin + Math.floor(rowCount / 100) }));
    const changed = newBytes(before, after);
    expect(changed).toBeGreaterThan(tableBytes * 0.0099);
    expect(changed).toBeLessThanOrEqual(tableBytes * 0.02);
  });
});
