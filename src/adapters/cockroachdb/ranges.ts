import type { TableRange } from '#ports/database.ts';
import { quoteColumns, quoteIdentifier, quoteLiteral, quoteTable } from '#postgresql-protocol/identifier-quoting.ts';
import type { Session } from '#postgresql-protocol/session.ts';
import { countTableRows, tableColumns } from './catalog.ts';

export const defaultRowsPerRange = 100_000;
/** For progress only. */
const assumedRowBytes = 400;

/** A value of a key column as text, and the type that text is of. */
type Boundary = Readonly<Record<string, string>>;

/** Parts of so many rows in the order of the primary key: rows that are added behind them move no boundary. */
export async function tableRanges(session: Session, table: string, rowsPerRange: number): Promise<TableRange[]> {
  const { columns, keyColumns } = await tableColumns(session.rows, table);
  const key = columns.slice(0, keyColumns);
  const rows = await countTableRows(session.rows, table);
  const boundaries =
    keyColumns === 0 || rows <= rowsPerRange ? [] : await readBoundaries(session, table, key, rowsPerRange);
  const tuples = boundaries.map((boundary) => `(${key.map((_, at) => literal(boundary, at, key)).join(', ')})`);
  const keyTuple = `(${quoteColumns(key.map(({ name }) => name))})`;
  return Array.from({ length: tuples.length + 1 }, (_, part) => {
    const conditions = [
      ...(part === 0 ? [] : [`${keyTuple} > ${tuples[part - 1]}`]),
      ...(part === tuples.length ? [] : [`${keyTuple} <= ${tuples[part]}`]),
    ];
    return {
      table,
      columns: columns.map(({ name }) => name),
      keyColumns,
      condition: conditions.length === 0 ? null : conditions.join(' AND '),
      estimatedBytes: Math.ceil((rows * assumedRowBytes) / (tuples.length + 1)),
    };
  });
}

type Column = { readonly name: string; readonly type: string };

async function readBoundaries(
  session: Session,
  table: string,
  key: readonly Column[],
  rowsPerRange: number,
): Promise<Boundary[]> {
  const names = quoteColumns(key.map(({ name }) => name));
  const texts = key.map(({ name }, at) => `${quoteIdentifier(name)}::text AS k${at}`).join(', ');
  return await session.rows<Boundary>(
    `SELECT ${texts} FROM (SELECT ${names}, row_number() OVER (ORDER BY ${names}) AS position FROM ${quoteTable(table)}) numbered
      WHERE position % ${rowsPerRange} = 0 ORDER BY position`,
  );
}

function literal(boundary: Boundary, at: number, key: readonly Column[]): string {
  return `${quoteLiteral(boundary[`k${at}`]!).trimStart()}::${key[at]!.type.replace(/^boolean$/, 'bool')}`;
}
