import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { notReady, type Readiness } from '#model/readiness.ts';

/**
 * Whether this manager serves, and the work it does by itself. While the gate is closed no work begins; closing it
 * interrupts what is under way and waits for its end, so that nothing of ours writes during a maintenance.
 */
export class Gate {
  #readiness: Readiness = notReady('starting', { retryAfterSeconds: 2 });
  #interrupt: AbortController | undefined;
  readonly #work = new Set<Promise<unknown>>();

  get readiness(): Readiness {
    return this.#readiness;
  }

  get isOpen(): boolean {
    return this.#interrupt !== undefined;
  }

  /** Says why it does not serve, without touching work under way. */
  report(readiness: Readiness): void {
    this.#readiness = readiness;
  }

  open(readiness: Readiness): void {
    this.#interrupt ??= new AbortController();
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
    if (this.#interrupt === undefined) return undefined;
    const running = task(AbortSignal.any([signal, this.#interrupt.signal]));
    this.#work.add(running);
    try {
      return await running;
    } finally {
      this.#work.delete(running);
    }
  }
}
