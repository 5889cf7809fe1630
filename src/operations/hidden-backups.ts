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

/** What a person said of the sequences. A bound is no waiver: taken from an older recovery line it would lose what came after. */
export interface AskedFreshness {
  /** Refuses where the newest backup has a lower sequence. */
  readonly atLeastSequence?: number;
  /** Accepts the loss of what this host has seen beyond this sequence, which the newest backup has to have. */
  readonly missingAfter?: number;
}

/** The error of what this host remembers, or a person knows, and the place does not show; `undefined` where nothing is missing. */
export function missingBackups(
  { where, newest, remembered }: { readonly where: string; readonly newest: number; readonly remembered: number },
  { atLeastSequence = 0, missingAfter }: AskedFreshness,
  toAccept: (option: string) => string,
): EnclaveManagerError | undefined {
  const existed = Math.max(atLeastSequence, missingAfter === newest ? 0 : remembered);
  const message = describeHidden({ where, newest, existed });
  if (message === undefined) return undefined;
  const inPlace = atLeastSequence > newest ? ', and no --at-least-sequence' : '';
  return new EnclaveManagerError('forged', message, { hint: toAccept(`--accept-missing-after ${newest}${inPlace}`) });
}

export const restoreWithoutThem = (option: string): string =>
  `Find the newer backups. To restore without them, say so: ${option}`;
