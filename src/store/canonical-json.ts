import type { JsonObject, JsonValue } from '#model/json.ts';

/**
 * The one JSON text of a value: members sorted by UTF-16 code units, no spaces, numbers and strings as ECMAScript
 * writes them (RFC 8785). Throws a `TypeError` for what JSON cannot hold.
 */
export function canonicalJson(value: JsonValue): string {
  if (isList(value)) return `[${value.map((item) => canonicalJson(item)).join(',')}]`;
  if (value !== null && typeof value === 'object') {
    const members = Object.keys(value).toSorted(byCodeUnits);
    return `{${members.map((name) => `${JSON.stringify(name)}:${canonicalJson(value[name]!)}`).join(',')}}`;
  }
  if (typeof value === 'number' && !Number.isFinite(value)) throw new TypeError(`JSON cannot hold ${value}`);
  const text: string | undefined = JSON.stringify(value);
  if (text === undefined) throw new TypeError(`JSON cannot hold ${typeof value}`);
  return text;
}

/** The value as a JSONB column gives it back: NUL and unpaired surrogates, which it refuses, become U+FFFD. */
export function storableJson<T extends JsonValue>(value: T): T;
export function storableJson(value: JsonValue): JsonValue {
  if (typeof value === 'string') return storableText(value);
  if (isList(value)) return value.map((item) => storableJson(item));
  if (value === null || typeof value !== 'object') return value;
  const members = Object.entries(value).map(([name, member]) => [storableText(name), storableJson(member)] as const);
  return Object.fromEntries(members) satisfies JsonObject;
}

export const storableText = (text: string): string => text.toWellFormed().replaceAll('\0', '\uFFFD');

const isList = (value: JsonValue): value is readonly JsonValue[] => Array.isArray(value);

const byCodeUnits = (a: string, b: string): number => (a < b ? -1 : 1);
