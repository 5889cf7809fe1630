import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { jsonbText } from './jsonb-text.ts';

/**
 * How a value of a type is written by PostgreSQL, from how this engine writes it: bytes that stay as they are, or text
 * that is made anew. A drill compares rows across engines, so there is one way.
 */
export type ColumnText = 'as it is' | ((text: string) => string);

const booleans = new Map([
  ['t', 't'],
  ['f', 'f'],
  ['true', 't'],
  ['false', 'f'],
]);

const timestamp = /^(\d{4,6}-\d\d-\d\d \d\d:\d\d:\d\d)(\.\d{1,6})?\+00(?::00){0,2}( BC)?$/;

const byType: ReadonlyMap<string, ColumnText> = new Map<string, ColumnText>([
  ['uuid', 'as it is'],
  ['text', 'as it is'],
  // Both engines write them in hexadecimal, as the session asks for.
  ['bytea', 'as it is'],
  ['int4', 'as it is'],
  ['int8', 'as it is'],
  ['boolean', (text) => booleans.get(text) ?? unknownText('boolean', text)],
  ['timestamptz', timestampText],
  ['jsonb', jsonbText],
]);

/** The types of which it is known how both engines write them. */
export const coveredTypes: ReadonlySet<string> = new Set(byType.keys());

/** Throws `version-incompatible` for a type that is not covered. */
export function columnText(
  table: string,
  { name, type }: { readonly name: string; readonly type: string },
): ColumnText {
  const found = byType.get(type);
  if (found !== undefined) return found;
  throw new EnclaveManagerError(
    'version-incompatible',
    `column "${name}" of table "${table}" is of the type ${type}, which this program cannot bring from CockroachDB to other engines`,
    { hint: `Covered are ${[...coveredTypes].join(', ')}. Use a newer release of Enclave Manager.` },
  );
}

function timestampText(text: string): string {
  if (text === 'infinity' || text === '-infinity') return text;
  const match = timestamp.exec(text);
  if (match === null) return unknownText('timestamptz', text);
  const [, seconds, fraction = '', era = ''] = match;
  return `${seconds}${fraction.replace(/\.?0+$/, '')}+00${era}`;
}

function unknownText(type: string, text: string): never {
  throw new EnclaveManagerError(
    'version-incompatible',
    `the server writes a value of type ${type} as ${JSON.stringify(text.slice(0, 60))}, which this program does not know`,
  );
}
