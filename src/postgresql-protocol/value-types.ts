import { plantedValue } from '#errors/planted-value.ts';
import pg from 'pg';

const int8Oid = 20;
const int8ArrayOid = 1016;
const timestampOid = 1114;

/** An int8 as a number; beyond ±(2^53 − 1), where a number would silently be another one, a `bigint` that `readable` refuses. */
function parseInt8(text: string): number | bigint {
  const value = Number(text);
  return Number.isSafeInteger(value) ? value : BigInt(text);
}

function parseInt8Array(text: string): (number | bigint | null)[] {
  // An array of numbers in its text form: no quotes, no nesting in any of our tables.
  const items = text.slice(1, -1);
  return items === '' ? [] : items.split(',').map((item) => (item === 'NULL' ? null : parseInt8(item)));
}

/** Without a zone, pg would read the text in the zone of this process; all our sessions are in UTC. */
function parseTimestamp(text: string): Date {
  return new Date(`${text.replace(' ', 'T')}Z`);
}

const ownParsers = new Map<number, (text: string) => unknown>([
  [int8Oid, parseInt8],
  [int8ArrayOid, parseInt8Array],
  [timestampOid, parseTimestamp],
]);

/** Values as the database port promises them; all other types are pg's own. */
export const valueTypes: pg.CustomTypesConfig = {
  getTypeParser: (oid: number, format?: string) => {
    const own = format === 'binary' ? undefined : ownParsers.get(oid);
    const parser: unknown = own ?? pg.types.getTypeParser(oid, format === 'binary' ? 'binary' : 'text');
    return parser;
  },
};

interface Result<R> {
  readonly rows: R[];
  readonly fields: readonly { readonly name: string; readonly dataTypeID: number }[];
}

const checkedOids = new Set([int8Oid, int8ArrayOid, timestampOid, pg.types.builtins.TIMESTAMPTZ]);

/**
 * The rows of a result, if a number or a time can hold every value in them. Else `damaged`, with table and column: nothing
 * here writes such a value, but who may write rows may.
 */
export function readable<T extends Result<object>>(result: T, statement: string): T {
  // A script of several statements has a result for each.
  for (const { rows, fields } of [result].flat()) {
    const columns = fields.filter(({ dataTypeID }) => checkedOids.has(dataTypeID)).map(({ name }) => name);
    for (const row of columns.length === 0 ? [] : rows) {
      for (const column of columns) {
        const value: unknown = Reflect.get(row, column);
        if (!isReadable(value)) throw plantedValue(`${tableIn(statement)}${column}`, describe(value));
      }
    }
  }
  return result;
}

function isReadable(value: unknown): boolean {
  if (Array.isArray(value)) return value.every(isReadable);
  // pg makes the numbers ±Infinity of infinite times.
  if (typeof value === 'number') return Number.isSafeInteger(value);
  return typeof value !== 'bigint' && !(value instanceof Date && Number.isNaN(value.getTime()));
}

/** Our statements name the table that they read first. */
function tableIn(statement: string): string {
  const table = /\b(?:from|update|into)\s+"?(?:public"?\."?)?([a-z_]+)/i.exec(statement)?.[1];
  return table === undefined ? '' : `${table}.`;
}

const describe = (value: unknown): string => (value instanceof Date ? 'a time beyond all calendars' : String(value));
