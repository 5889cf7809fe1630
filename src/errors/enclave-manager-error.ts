import { errorCodes, type ErrorCode } from './codes.ts';

/** An expected failure. The message names the thing and the value, the hint says what to do. */
export class EnclaveManagerError extends Error {
  readonly code: ErrorCode;
  readonly hint: string;
  /** What the hint says to run, where that is the whole way out. */
  readonly commands: readonly string[] | undefined;

  constructor(
    code: ErrorCode,
    message: string,
    options: { readonly hint?: string; readonly commands?: readonly string[]; readonly cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'EnclaveManagerError';
    this.code = code;
    this.hint = options.hint ?? errorCodes[code].hint;
    this.commands = options.commands;
  }

  get exitCode(): number {
    return errorCodes[this.code].exitCode;
  }
}

/** Whether it is one of these; without codes, any of ours. */
export function isEnclaveManagerError(error: unknown, ...codes: readonly ErrorCode[]): error is EnclaveManagerError {
  return error instanceof EnclaveManagerError && (codes.length === 0 || codes.includes(error.code));
}

/** Gives every failure a code: known ones pass, anything else is `unexpected`. */
export function toEnclaveManagerError(error: unknown): EnclaveManagerError {
  if (error instanceof EnclaveManagerError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new EnclaveManagerError('unexpected', message, { cause: error });
}
