import type { Clock } from '#ports/clock.ts';

/** Time that passes only where somebody sleeps, and ends: then its signal aborts. */
export class SteppingClock implements Clock {
  readonly #begin: number;
  readonly #end: AbortController = new AbortController();
  readonly #lengthMs: number;
  #elapsedMs = 0;

  constructor(begin: string, lengthMs: number) {
    this.#begin = Date.parse(begin);
    this.#lengthMs = lengthMs;
  }

  get signal(): AbortSignal {
    return this.#end.signal;
  }

  now(): Date {
    return new Date(this.#begin + this.#elapsedMs);
  }

  monotonicMs(): number {
    return this.#elapsedMs;
  }

  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    this.#elapsedMs += ms;
    if (this.#elapsedMs >= this.#lengthMs) this.#end.abort(new Error('the time of the test is over'));
    signal?.throwIfAborted();
  }
}
