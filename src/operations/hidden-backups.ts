import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';

/** A place shows less than is known to have existed, by this host's memory or a recovery line. */
export interface HiddenBackups {
  /** Of the repository, for people. */
  readonly where: string;
  /** Highest authentic sequence in it, 0 where there is no backup. */
  readonly newest: number;
  readonly existed: number;
}

/** `undefined` where nothing is missing. */
export function describeHidden({ where, newest, existed }: HiddenBackups): string | undefined {
  if (newest >= existed) return undefined;
  return newest === 0
    ? `there is no backup in ${where}, but sequence ${existed} existed: all were deleted or hidden`
    : `the newest backup in ${where} has sequence ${newest}, but sequence ${existed} existed: newer backups were deleted or hidden`;
}

/** Throws `forged` with a hint of what to do where something is missing. */
export function refuseHidden(hidden: HiddenBackups, hint: string): void {
  const message = describeHidden(hidden);
  if (message !== undefined) throw new EnclaveManagerError('forged', message, { hint });
}

/** What a person accepts to lose: every backup beyond this sequence that the repository does not show. */
export interface AcceptedLoss {
  readonly atLeastSequence?: number;
}

/** The error of what this host remembers, or a person knows, and the place does not show; `undefined` where nothing is missing. */
export function missingBackups(
  { where, newest, remembered }: { readonly where: string; readonly newest: number; readonly remembered: number },
  { atLeastSequence }: AcceptedLoss,
  toAccept: (option: string) => string,
): EnclaveManagerError | undefined {
  if (atLeastSequence === newest) return undefined;
  const message = describeHidden({ where, newest, existed: Math.max(atLeastSequence ?? 0, remembered) });
  if (message === undefined) return undefined;
  return new EnclaveManagerError('forged', message, { hint: toAccept(`--at-least-sequence ${newest}`) });
}

export const restoreWithoutThem = (option: string): string =>
  `Find the newer backups. To restore without them, say so: ${option}`;
