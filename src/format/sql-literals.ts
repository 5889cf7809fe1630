/**
 * COPY text as SQL literals (docs/backup-format.md, "Rows"), in the forms that PostgreSQL and CockroachDB read alike and
 * whatever the server has set: a value with a backslash is an escape string, so that `standard_conforming_strings` does
 * not matter to it. Text is handled as Latin-1, one character a byte, so that UTF-8 passes through unchanged.
 */
import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';

/** `value` is a field of COPY text. `damaged` for one that no server writes for this type. */
export function sqlLiteral(type: string, value: string): string {
  if (value === '\\N') return 'NULL';
  switch (type) {
    case 'bytea':
      return bytesLiteral(value);
    case 'boolean':
      return booleanLiteral(value);
    case 'int2':
    case 'int4':
    case 'int8':
      return integerLiteral(type, value);
    default:
      return textLiteral(value);
  }
}

function bytesLiteral(value: string): string {
  const hex = value.slice(3);
  // Looks for one wrong character: a pattern that repeats would need a stack as deep as the value is long.
  if (!value.startsWith('\\\\x') || hex.length % 2 !== 0 || /[^0-9a-f]/.test(hex)) throw notA('bytea', value);
  return `'\\x${hex}'::bytea`;
}

function booleanLiteral(value: string): string {
  if (value === 't') return 'TRUE';
  if (value === 'f') return 'FALSE';
  throw notA('boolean', value);
}

/** Quoted, because the lowest of an int8 is no number before it has its sign. */
function integerLiteral(type: string, value: string): string {
  if (!/^-?\d{1,19}$/.test(value)) throw notA(type, value);
  return value.length > 15 ? `'${value}'` : value;
}

function textLiteral(value: string): string {
  if (!value.includes('\\')) return `'${value.replaceAll("'", "''")}'`;
  return `E'${value.replaceAll(/\\[^]?|'/g, (found) => escapes.get(found) ?? throwEscape(found))}'`;
}

/** Escapes of COPY text, and the quote → the same in an escape string, which knows no `\v`. */
const escapes: ReadonlyMap<string, string> = new Map([
  ["'", "''"],
  ['\\\\', '\\\\'],
  ['\\b', '\\b'],
  ['\\f', '\\f'],
  ['\\n', '\\n'],
  ['\\r', '\\r'],
  ['\\t', '\\t'],
  ['\\v', '\\x0b'],
]);

function throwEscape(found: string): never {
  throw new EnclaveManagerError('damaged', `a row has the escape ${JSON.stringify(found)}, which COPY text has not`);
}

function notA(type: string, value: string): EnclaveManagerError {
  return new EnclaveManagerError('damaged', `a row has a value of ${value.length} bytes that is no ${type}`);
}
