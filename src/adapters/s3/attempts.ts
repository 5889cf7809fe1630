import { randomInt } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { readFailure, retryOf, type Failure } from './failures.ts';
import type { S3Limits } from './limits.ts';

/** An operation that failed for good. */
export class OperationFailed extends Error {
  readonly failure: Failure;
  readonly attempts: number;

  constructor(failure: Failure, attempts: number, cause: unknown) {
    super(failure.message, { cause });
    this.failure = failure;
    this.attempts = attempts;
  }
}

export interface AttemptHooks {
  /** Asked after a failure that no waiting mends; true: circumstances changed, such as credentials, try once more. */
  readonly mended: (failure: Failure) => Promise<boolean>;
}

/**
 * Attempts until one succeeds, the failure is final, or attempts or time are used up: then throws `OperationFailed`. Pauses
 * grow and are spread at random, so that many clients do not come back at once. Typed errors pass at once.
 */
export async function withAttempts<T>(
  limits: S3Limits,
  hooks: AttemptHooks,
  attempt: (number: number) => Promise<T>,
): Promise<T> {
  const begunMs = performance.now();
  let mendedOnce = false;
  for (let number = 1; ; number += 1) {
    try {
      return await attempt(number);
    } catch (error) {
      if (error instanceof EnclaveManagerError) throw error;
      const failure = readFailure(error);
      const retry = retryOf(failure);
      const most = { never: 0, unreachable: limits.attemptsWhenUnreachable, busy: limits.attempts }[retry];
      if (number < most && performance.now() - begunMs < limits.operationMs) {
        await pause(limits, number, failure);
      } else if (retry === 'never' && !mendedOnce && (await hooks.mended(failure))) {
        mendedOnce = true;
      } else {
        throw new OperationFailed(failure, number, error);
      }
    }
  }
}

async function pause(limits: S3Limits, number: number, failure: Failure): Promise<void> {
  const askedMs = Number(failure.headers['retry-after'] ?? 0) * 1000 || 0;
  const grownMs = limits.firstPauseMs * 2 ** (number - 1);
  const longestMs = Math.min(limits.longestPauseMs, Math.max(grownMs, askedMs));
  await sleep(longestMs / 2 + randomInt(Math.ceil(longestMs / 2) + 1));
}
