import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';

/** Segments begin with a letter or digit: neither `.` nor `..` nor an adapter's own hidden names are keys. */
const keyPattern = /^[A-Za-z0-9][A-Za-z0-9._-]{0,199}(\/[A-Za-z0-9][A-Za-z0-9._-]{0,199})*$/;
const prefixPattern = /^([A-Za-z0-9][A-Za-z0-9._-]{0,199}\/)*([A-Za-z0-9][A-Za-z0-9._-]{0,199})?$/;
const maxKeyLength = 500;

export function isObjectKey(text: string): boolean {
  return text.length <= maxKeyLength && keyPattern.test(text);
}

/** Every adapter refuses the same keys: a wrong one is a bug of the caller, so the error is `unexpected`. */
export function checkObjectKey(key: string): void {
  if (!isObjectKey(key)) throw wrong('key', key);
}

/** A prefix is the beginning of a key, or empty. */
export function checkObjectPrefix(prefix: string): void {
  if (prefix.length > maxKeyLength || !prefixPattern.test(prefix)) throw wrong('prefix', prefix);
}

function wrong(what: string, value: string): EnclaveManagerError {
  return new EnclaveManagerError('unexpected', `${JSON.stringify(value.slice(0, 100))} is not an object ${what}`);
}
