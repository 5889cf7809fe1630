import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import type { Clock } from '#ports/clock.ts';

export type StopSignal = 'SIGINT' | 'SIGTERM' | 'SIGHUP';
export const stopSignals: readonly StopSignal[] = ['SIGINT', 'SIGTERM', 'SIGHUP'];

/** The terminal and npm both send Ctrl-C to us; what comes this soon after the first is the same key press. */
const duplicateMs = 500;

/** Turns signals into one abort, whose reason is the error the command then fails with. */
export class Interruption {
  readonly #controller = new AbortController();
  readonly #clock: Clock;
  readonly #forceExit: (exitCode: number) => void;
  #firstMs: number | undefined;

  constructor(clock: Clock, forceExit: (exitCode: number) => void) {
    this.#clock = clock;
    this.#forceExit = forceExit;
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** The first asks the command to stop cleanly; one that comes later ends the process at once. */
  handle(signal: StopSignal): void {
    const nowMs = this.#clock.monotonicMs();
    if (this.#firstMs === undefined) {
      this.#firstMs = nowMs;
      this.#controller.abort(reasonOf(signal));
      return;
    }
    if (nowMs - this.#firstMs > duplicateMs) this.#forceExit(reasonOf(signal).exitCode);
  }
}

function reasonOf(signal: StopSignal): EnclaveManagerError {
  return signal === 'SIGINT'
    ? new EnclaveManagerError('interrupted', 'interrupted')
    : new EnclaveManagerError('terminated', `terminated by ${signal}`);
}

const parentLookMs = 200;

/**
 * Calls `lost` once when the process that started us has ended. Killed, npm passes no signal on: we would go on unseen,
 * beyond the reach of Ctrl-C, and keep the next start out of the data directory.
 */
export function watchParent(parentId: () => number, lost: () => void): void {
  const first = parentId();
  const look = setInterval(() => {
    if (parentId() === first) return;
    clearInterval(look);
    lost();
  }, parentLookMs);
  look.unref();
}
