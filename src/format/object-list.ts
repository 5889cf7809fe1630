/**
 * The object list of a manifest, read by hand: a repository has millions of these entries, and a schema takes longer over
 * them than everything else. It takes exactly what the schema takes (`object-list.test.ts`).
 */
import type { ObjectReference } from './manifest-parts.ts';

const idDigits = 64;
const objectDigits = 16;
const nameLength = idDigits + 1 + objectDigits;
const dot = 0x2e;

/** `undefined` for what the schema has to explain; members that this version does not know are left out. */
export function readObjectList(value: unknown, maxLength: number): ObjectReference[] | undefined {
  if (!Array.isArray(value) || value.length > maxLength) return undefined;
  const list: ObjectReference[] = [];
  let previous = '';
  for (const entry of value as readonly unknown[]) {
    if (!isObject(entry) || Array.isArray(entry)) return undefined;
    const { name, sizeBytes, sha256 } = entry;
    if (!isObjectName(name) || name <= previous) return undefined;
    if (typeof sizeBytes !== 'number' || !Number.isSafeInteger(sizeBytes) || sizeBytes < 1) return undefined;
    if (typeof sha256 !== 'string' || sha256.length !== idDigits || !isHex(sha256, 0, idDigits)) return undefined;
    list.push({ name, sizeBytes, sha256 });
    previous = name;
  }
  return list;
}

function isObject(
  value: unknown,
): value is { readonly name?: unknown; readonly sizeBytes?: unknown; readonly sha256?: unknown } {
  return typeof value === 'object' && value !== null;
}

function isObjectName(name: unknown): name is string {
  return (
    typeof name === 'string' &&
    name.length === nameLength &&
    name.charCodeAt(idDigits) === dot &&
    isHex(name, 0, idDigits) &&
    isHex(name, idDigits + 1, nameLength)
  );
}

/** Lower-case digits only. */
function isHex(text: string, begin: number, end: number): boolean {
  for (let at = begin; at < end; at += 1) {
    const code = text.charCodeAt(at);
    const isDigit = code >= 0x30 && code <= 0x39;
    if (!isDigit && (code < 0x61 || code > 0x66)) return false;
  }
  return true;
}
