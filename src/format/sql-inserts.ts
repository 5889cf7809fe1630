import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { sqlLiteral } from './sql-literals.ts';

/** A statement ends with the row that reaches one of these. Only a row that is larger by itself makes a larger one. */
const maxStatementBytes = 256 * 1024;
const maxRowsPerStatement = 500;

export interface InsertTarget {
  readonly name: string;
  readonly columns: readonly { readonly name: string; readonly type: string }[];
}

/** The rows of a chunk as multi-row INSERTs, a row a line. A file cut off at any line end is no statement. */
export function* insertStatements(target: InsertTarget, rows: Buffer): Generator<Buffer> {
  const names = target.columns.map(({ name }) => `"${name}"`).join(', ');
  const head = Buffer.from(`INSERT INTO "${target.name}" (${names}) VALUES\n`);
  let pieces: Buffer[] = [];
  let sizeBytes = 0;
  for (let begin = 0; begin < rows.length;) {
    const end = rows.indexOf(newline, begin);
    if (end < 0) throw new EnclaveManagerError('damaged', `the last row of table "${target.name}" has no end`);
    const row = Buffer.from(tuple(target, rows.toString('latin1', begin, end)), 'latin1');
    begin = end + 1;
    pieces.push(pieces.length === 0 ? head : betweenRows, row);
    sizeBytes += row.length;
    if (sizeBytes < maxStatementBytes && pieces.length < maxRowsPerStatement * 2 && begin < rows.length) continue;
    yield Buffer.concat([...pieces, closing]);
    pieces = [];
    sizeBytes = 0;
  }
}

const newline = 0x0a;
const betweenRows = Buffer.from(',\n');
const closing = Buffer.from(';\n');

function tuple({ name, columns }: InsertTarget, row: string): string {
  const values = row.split('\t');
  if (values.length !== columns.length) {
    throw new EnclaveManagerError(
      'damaged',
      `a row of table "${name}" has ${values.length} values instead of ${columns.length}`,
    );
  }
  return `(${values.map((value, index) => sqlLiteral(columns[index]!.type, value)).join(', ')})`;
}
