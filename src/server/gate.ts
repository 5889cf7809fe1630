import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { notReady, type Readiness } from '#model/readiness.ts';
import type { Clock } from '#ports/clock.ts';

/**
 * Whether this manager serves, and the work it does by itself. While the gate is closed no work begins; closing it
 * interrupts what is under way and waits for its end, so that nothing of ours writes during a maintenance. It is open
 * only as long as this manager's registration is known to last: one that was stopped finds it closed when it comes back.
 */
export class Gate {
  readonly #clock: Clock;
  #readiness: Readiness = notReady('starting', { retryAfterSeconds: 2 });
  #notice: Pick<Readiness, 'reasons' | 'commands'> | undefined;
  #interrupt: AbortController | undefined;
  #openUntilMs = -Infinity;
  readonly #work = new Set<Promise<unknown>>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get readiness(): Readiness {
    if (!this.#readiness.ready) return this.#readiness;
    return this.hasRunOut ? ranOut : { ...this.#readiness, ...this.#notice };
  }

  get isOpen(): boolean {
    return this.#interrupt !== undefined && !this.hasRunOut;
  }

  /** Opened, and not opened again in time: what is under way must not go on. */
  get hasRunOut(): boolean {
    return this.#interrupt !== undefined && this.#clock.monotonicMs() >= this.#openUntilMs;
  }

  /** Says why it does not serve, without touching work under way. */
  report(readiness: Readiness): void {
    this.#readiness = readiness;
  }

  /** What somebody has to decide although it serves; `undefined` once that is settled. */
  notice(notice: Pick<Readiness, 'reasons' | 'commands'> | undefined): void {
    this.#notice = notice;
  }

  /** `untilMs` is a reading of the monotonic clock. */
  open(readiness: Readiness, untilMs: number): void {
    this.#interrupt ??= new AbortController();
    this.#openUntilMs = untilMs;
    this.#readiness = readiness;
  }

  async close(readiness: Readiness): Promise<void> {
    this.#readiness = readiness;
    this.#interrupt?.abort(new EnclaveManagerError('interrupted', readiness.reasons[0] ?? 'paused'));
    this.#interrupt = undefined;
    await Promise.allSettled(this.#work);
  }

  /** Runs `task`, or resolves with `undefined` at once while the gate is closed. */
  async work<T>(signal: AbortSignal, task: (signal: AbortSignal) => Promise<T>): Promise<T | undefined> {
    if (this.#interrupt === undefined || !this.isOpen) return undefined;
    const running = task(AbortSignal.any([signal, this.#interrupt.signal]));
    this.#work.add(running);
    try {
      return await running;
    } finally {
      this.#work.delete(running);
    }
  }
}

const ranOut = notReady('stopped, or cut off from the database, for too long; looking what changed', {
  retryAfterSeconds: 2,
});
