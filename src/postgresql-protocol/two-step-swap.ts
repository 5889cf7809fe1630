import { setTimeout as sleep } from 'node:timers/promises';
import { EnclaveManagerError, isEnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { errorCode, isLostConnection } from './database-errors.ts';
import { isRetryable } from './serializable.ts';
import { longestPauseMs, nameChanged, type Rename } from './rename-database.ts';

/** What an engine brings for a swap in two steps. */
export interface RenameSteps {
  identity(name: string): Promise<string | undefined>;
  /** Ends the sessions in the database where that is needed, and renames it as `renameDatabase` does. */
  rename(rename: Rename): Promise<void>;
}

export interface TwoStepNames {
  readonly live: string;
  readonly staging: string;
  readonly before: string;
  readonly expectedLive: string | undefined;
  readonly notAfter?: Date | undefined;
  readonly crashPoints?: { reach(point: 'swap.live-renamed' | 'swap.staging-renamed'): void } | undefined;
}

const attempts = 6;
const pauseMs = 250;

/**
 * Both renames one after the other, for engines where they cannot be one transaction. Between them there is no live
 * database, and both others are whole: whoever finds that finishes it by the same call with nothing to replace. A step
 * that cannot be done is taken back.
 */
export async function swapInTwoSteps(steps: RenameSteps, names: TwoStepNames): Promise<void> {
  const staging = await steps.identity(names.staging);
  if (staging === undefined) {
    throw new EnclaveManagerError('not-found', `there is no database "${names.staging}" to be swapped in`);
  }
  if ((await steps.identity(names.live)) !== names.expectedLive) throw nameChanged(names.live);
  const { live, before, expectedLive, notAfter } = names;
  if (expectedLive !== undefined) {
    await renameSurely(steps, { from: live, to: before, identity: expectedLive, notAfter });
    names.crashPoints?.reach('swap.live-renamed');
  }
  // Once the live database has its other name there is no time limit: it is either finished or taken back.
  const last = expectedLive === undefined ? { notAfter } : {};
  await renameSurely(steps, { from: names.staging, to: live, identity: staging, ...last }).catch(
    async (error: unknown) => await takeBack(steps, names, staging, error),
  );
  names.crashPoints?.reach('swap.staging-renamed');
}

async function takeBack(steps: RenameSteps, names: TwoStepNames, staging: string, cause: unknown): Promise<void> {
  const { live, before, expectedLive } = names;
  try {
    if (expectedLive !== undefined) await renameSurely(steps, { from: before, to: live, identity: expectedLive });
  } catch (error) {
    // Somebody who found it half done may have been faster.
    if ((await steps.identity(live).catch(() => undefined)) === staging) return;
    throw betweenRenames(names, error);
  }
  throw errorCode(cause) === '42P04' ? nameChanged(live, cause) : cause;
}

/** Again where that is the way out. A connection that is lost at the COMMIT leaves open whether it was done, until it is asked. */
async function renameSurely(steps: RenameSteps, rename: Rename): Promise<void> {
  let isOpen = false;
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await steps.rename(rename);
    } catch (error) {
      const isLost = isLostConnection(error);
      isOpen ||= isLost;
      if (!isLost && !isRetryable(error)) {
        // The server gives up a transaction that nobody goes on with: after that the answer is final.
        if (isOpen && !(await isDone(steps, rename))) await sleep(longestPauseMs + 2_000);
        if (await isDone(steps, rename)) return;
        throw error;
      }
      await sleep(pauseMs * attempt);
      if (await isDone(steps, rename).catch(() => false)) return;
      if (attempt === attempts) throw error;
    }
  }
}

async function isDone(steps: RenameSteps, { to, identity }: Rename): Promise<boolean> {
  return (await steps.identity(to)) === identity;
}

function betweenRenames({ live, staging, before }: TwoStepNames, cause: unknown): EnclaveManagerError {
  const why = isEnclaveManagerError(cause) ? cause.message : String(cause);
  return new EnclaveManagerError(
    'database-unreachable',
    `the swap stopped between its two renames: "${before}" holds what served, "${staging}" what should serve, and there may be no "${live}" now (${why})`,
    { hint: 'Both are whole. Run any command again, or start the manager: it finishes the swap.', cause },
  );
}
