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
