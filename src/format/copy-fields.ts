import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';

/** Fields of COPY text (docs/backup-format.md, "Rows") as the values they stand for. */

const escapes: ReadonlyMap<string, string> = new Map([
  ['\\\\', '\\'],
  ['\\b', '\b'],
  ['\\f', '\f'],
  ['\\n', '\n'],
  ['\\r', '\r'],
  ['\\t', '\t'],
  ['\\v', '\v'],
]);

/** A text that is not NULL. Throws `damaged` for an escape that no server writes. */
export function copyFieldText(field: string): string {
  return field.replaceAll(/\\[^]?/g, (found) => escapes.get(found) ?? throwEscape(found));
}

/** `undefined`: NULL. Throws `damaged` for what is no bytea. */
export function copyFieldBytes(field: string): Buffer | undefined {
  if (field === '\\N') return undefined;
  const hex = field.slice(3);
  if (field.startsWith('\\\\x') && hex.length % 2 === 0 && !/[^0-9a-f]/.test(hex)) return Buffer.from(hex, 'hex');
  throw new EnclaveManagerError('damaged', `a row has a value of ${field.length} bytes that is no bytea`);
}

function throwEscape(found: string): never {
  throw new EnclaveManagerError('damaged', `a row has the escape ${JSON.stringify(found)}, which COPY text has not`);
}
