import pg from 'pg';

const int8Oid = 20;
const int8ArrayOid = 1016;
const timestampOid = 1114;

/** An int8 as a number. Throws beyond ±(2^53 − 1), where a number would silently be another one. */
function parseInt8(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value)) throw new RangeError(`the int8 value ${text} is too large for a number`);
  return value;
}

function parseInt8Array(text: string): (number | null)[] {
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
