import type { EnclaveManagerError } from '#errors/enclave-manager-error.ts';

/** Why this host cannot say something, and the way out. What is unknown is never told as "none", "never" or "no". */
export interface UnknownCause {
  /** One of the error codes. */
  readonly code: string;
  readonly message: string;
  readonly hint: string;
}

export function causeOf({ code, message, hint }: EnclaveManagerError): UnknownCause {
  return { code, message: withoutPeriod(message), hint };
}

/** `unknown, because …`, without a period; a first word that is no name begins small. */
export function unknownBecause({ message }: Pick<UnknownCause, 'message'>): string {
  const begin = /^[A-Z][a-z]* /.test(message) ? `${message.charAt(0).toLowerCase()}${message.slice(1)}` : message;
  return `unknown, because ${withoutPeriod(begin)}`;
}

export const withoutPeriod = (sentence: string): string => sentence.replace(/\.$/, '');
