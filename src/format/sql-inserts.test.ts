import { describe, expect, it } from 'vitest';
import { insertStatements } from './sql-inserts.ts';

const settings = {
  name: 'settings',
  columns: [
    { name: 'name', type: 'text' },
    { name: 'value', type: 'int8' },
  ],
};
const inserts = (rows: string): string[] =>
  [...insertStatements(settings, Buffer.from(rows))].map((bytes) => bytes.toString());

describe('the rows of a chunk as INSERTs', () => {
  it('are one row a line, and UTF-8 passes unchanged', () => {
    expect(inserts('zażółć 🗝\t1\n\\N\t\\N\n')).toEqual([
      `INSERT INTO "settings" ("name", "value") VALUES\n('zażółć 🗝', 1),\n(NULL, NULL);\n`,
    ]);
    expect(inserts('')).toEqual([]);
  });

  it('are split by number and by size, and lose no row', () => {
    const many = Array.from({ length: 1201 }, (_, row) => `${row}\t${row}\n`).join('');
    expect(inserts(many).map((statement) => statement.split('\n').length - 2)).toEqual([500, 500, 201]);
    const large = Array.from({ length: 5 }, () => `${'x'.repeat(100_000)}\t0\n`).join('');
    expect(inserts(large).map((statement) => statement.split('\n').length - 2)).toEqual([3, 2]);
    expect(inserts(`${'x'.repeat(1_000_000)}\t0\nsmall\t0\n`)).toHaveLength(2);
  });

  it.each(['a\n', 'a\t1\t2\n', 'a\t1'])('%j is damage', (rows) => {
    expect(() => inserts(rows)).toThrow(expect.objectContaining({ code: 'damaged' }) as Error);
  });
});
