import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { JsonNumber, JsonReader, type JsonValue } from './json-reader.ts';

/** More digits than this PostgreSQL does not keep before the point of a number. */
const longestExponent = 131_072;

/**
 * JSON as PostgreSQL writes a jsonb (documentation, "JSON Types"): the keys of an object by their length in bytes and
 * then by their bytes, `": "` and `", "` between, numbers without exponents, no escape that is not needed.
 */
export function jsonbText(text: string): string {
  const pieces: string[] = [];
  try {
    write(new JsonReader(text).readDocument(), pieces);
  } catch (error) {
    if (!(error instanceof SyntaxError) && !(error instanceof RangeError)) throw error;
    throw new EnclaveManagerError(
      'version-incompatible',
      `the server writes a jsonb that this program cannot read: ${error.message}`,
      { cause: error },
    );
  }
  return pieces.join('');
}

function write(value: JsonValue, pieces: string[]): void {
  if (value === null || typeof value === 'boolean') pieces.push(String(value));
  else if (typeof value === 'string') pieces.push(stringText(value));
  else if (value instanceof JsonNumber) pieces.push(numberText(value.text));
  else if (isArray(value)) writeAll(value, ['[', ']'], pieces, (each) => write(each, pieces));
  else {
    writeAll(sortedEntries(value), ['{', '}'], pieces, ([key, each]) => {
      pieces.push(stringText(key), ': ');
      write(each, pieces);
    });
  }
}

function writeAll<T>(
  items: readonly T[],
  [open, close]: readonly [string, string],
  pieces: string[],
  writeItem: (item: T) => void,
): void {
  pieces.push(open);
  items.forEach((item, index) => {
    if (index > 0) pieces.push(', ');
    writeItem(item);
  });
  pieces.push(close);
}

const isArray = (value: JsonValue): value is readonly JsonValue[] => Array.isArray(value);

function sortedEntries(value: ReadonlyMap<string, JsonValue>): (readonly [string, JsonValue])[] {
  return [...value]
    .map(([key, each]) => ({ entry: [key, each] as const, bytes: Buffer.from(key) }))
    .toSorted((a, b) => a.bytes.length - b.bytes.length || a.bytes.compare(b.bytes))
    .map(({ entry }) => entry);
}

const shortEscapes = new Map([
  ['"', '\\"'],
  ['\\', '\\\\'],
  ['\b', '\\b'],
  ['\f', '\\f'],
  ['\n', '\\n'],
  ['\r', '\\r'],
  ['\t', '\\t'],
]);

function stringText(text: string): string {
  // oxlint-disable-next-line no-control-regex -- These are what has to be escaped.
  const escaped = text.replaceAll(/["\\\u0000-\u001f]/g, (character) => {
    const code = character.charCodeAt(0).toString(16).padStart(4, '0');
    return shortEscapes.get(character) ?? `\\u${code}`;
  });
  return `"${escaped}"`;
}

/** As `numeric` writes it: all digits that were there, and as many zeros as an exponent stands for. */
function numberText(text: string): string {
  const match = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(text);
  if (match === null) throw new SyntaxError(`a number is written as ${text.slice(0, 60)}`);
  const [, sign = '', whole = '', fraction = '', exponentText = '0'] = match;
  const exponent = Number(exponentText);
  if (Math.abs(exponent) > longestExponent) throw new RangeError(`a number has the exponent ${exponentText}`);
  const digits = (whole + fraction).padEnd(whole.length + exponent, '0');
  const point = whole.length + exponent;
  const before = (point > 0 ? digits.slice(0, point) : '').replace(/^0+(?=\d)/, '') || '0';
  const after = point >= 0 ? digits.slice(point) : '0'.repeat(-point) + digits;
  const isZero = /^0*$/.test(digits);
  return `${isZero ? '' : sign}${before}${after === '' ? '' : `.${after}`}`;
}
