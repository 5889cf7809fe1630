import { printable, type Style } from './style.ts';

export interface Column<Row> {
  readonly title: string;
  readonly align?: 'left' | 'right';
  readonly cell: (row: Row) => string;
}

/** Aligned columns under a heading; cells are made printable here. */
export function formatTable<Row>(columns: readonly Column<Row>[], rows: readonly Row[], style: Style): string {
  const cells = rows.map((row) => columns.map((column) => printable(column.cell(row))));
  const titles = columns.map((column) => column.title);
  const widths = columns.map((_, index) => Math.max(...[titles, ...cells].map((line) => textWidth(line[index]!))));
  const format = (line: readonly string[]): string =>
    line
      .map((text, index) => pad(text, widths[index]!, columns[index]!.align ?? 'left'))
      .join('  ')
      .trimEnd();
  return `${[style.dim(format(titles)), ...cells.map(format)].join('\n')}\n`;
}

/** `label   value` lines, labels aligned. */
export function formatFields(fields: readonly (readonly [label: string, value: string])[], indent = ''): string {
  const width = Math.max(...fields.map(([label]) => textWidth(label)));
  return fields.map(([label, value]) => `${indent}${pad(label, width, 'left')}  ${printable(value)}\n`).join('');
}

function pad(text: string, width: number, align: 'left' | 'right'): string {
  const space = ' '.repeat(Math.max(0, width - textWidth(text)));
  return align === 'left' ? text + space : space + text;
}

const wide = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\uFF01-\uFF60]/u;

/** Columns on a terminal; East Asian characters take two. */
export function textWidth(text: string): number {
  let width = 0;
  for (const character of text) width += wide.test(character) ? 2 : /\p{M}/u.test(character) ? 0 : 1;
  return width;
}
