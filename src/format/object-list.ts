/**
 * The object list of a manifest, read by hand: a repository has millions of these entries, and a schema takes longer over
 * them than everything else. It takes exactly what the schema takes (`object-list.test.ts`).
 */
import type { ObjectReference } from './manifest-parts.ts';

const idDigits = 64;
const objectDigits = 16;
const nameLength = idDigits + 1 + objectDigits;
const dot = 0x2e;

/** References that were read before, by name: backups name mostly the same objects. */
export interface ReadReferences {
  get(name: string): ObjectReference | undefined;
}

const nothingRead: ReadReferences = { get: () => undefined };

/**
 * `undefined` for what the schema has to explain; members that this version does not know are left out. What is exactly a
 * reference that was read before is that one, and is not looked at again.
 */
export function readObjectList(
  value: unknown,
  maxLength: number,
  read: ReadReferences = nothingRead,
): ObjectReference[] | undefined {
  if (!Array.isArray(value) || value.length > maxLength) return undefined;
  const list: ObjectReference[] = [];
  let previous = '';
  for (const entry of value as readonly unknown[]) {
    if (!isObject(entry) || Array.isArray(entry)) return undefined;
    const reference = readBefore(entry, read) ?? readReference(entry);
    if (reference === undefined || reference.name <= previous) return undefined;
    list.push(reference);
    previous = reference.name;
  }
  return list;
}

interface Entry {
  readonly name?: unknown;
  readonly sizeBytes?: unknown;
  readonly sha256?: unknown;
}

function readBefore({ name, sizeBytes, sha256 }: Entry, read: ReadReferences): ObjectReference | undefined {
  const known = typeof name === 'string' ? read.get(name) : undefined;
  return known?.name === name && known?.sha256 === sha256 && known?.sizeBytes === sizeBytes ? known : undefined;
}

function readReference({ name, sizeBytes, sha256 }: Entry): ObjectReference | undefined {
  if (!isObjectName(name)) return undefined;
  if (typeof sizeBytes !== 'number' || !Number.isSafeInteger(sizeBytes) || sizeBytes < 1) return undefined;
  if (typeof sha256 !== 'string' || sha256.length !== idDigits || !isHex(sha256, 0, idDigits)) return undefined;
  return { name, sizeBytes, sha256 };
}

function isObject(value: unknown): value is Entry {
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
