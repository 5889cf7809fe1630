import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';

/** A number that a person typed for `flag`; anything else is `usage`. */
export function parseWholeNumber(
  flag: string,
  text: string,
  range: { readonly min: number; readonly max: number } = { min: 0, max: 2 ** 31 },
): number {
  const number = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
  if (number >= range.min && number <= range.max) return number;
  throw new EnclaveManagerError(
    'usage',
    `${flag} is "${text.slice(0, 40)}", not a whole number from ${range.min} to ${range.max}`,
  );
}

/** A time that a person typed for `flag`: RFC 3339, or a date, which begins at midnight UTC. */
export function parseTime(flag: string, text: string): Date {
  const date = /^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:\d{2}))?$/.test(text)
    ? new Date(text)
    : new Date(Number.NaN);
  if (!Number.isNaN(date.getTime())) return date;
  throw new EnclaveManagerError('usage', `${flag} is "${text.slice(0, 40)}", not a time`, {
    hint: 'Write 2026-11-22, or 2026-11-22T10:00:00Z.',
  });
}
