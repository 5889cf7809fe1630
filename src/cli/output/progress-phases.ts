import type { Clock } from '#ports/clock.ts';
import type { Progress } from '#ports/progress.ts';

/**
 * For programs that watch: a line of JSON when a phase begins and one when it ends, `{"phase","event":"begin"}` and
 * `{"phase","event":"end","durationMs","bytes"}`, and `{"note"}` for what a person should read.
 */
export class ProgressPhases implements Progress {
  readonly #write: (text: string) => void;
  readonly #clock: Clock;
  #running: { readonly phase: string; readonly beganMs: number } | undefined;
  #bytes = 0;

  constructor(write: (text: string) => void, clock: Clock) {
    this.#write = write;
    this.#clock = clock;
  }

  phase(name: string): void {
    this.end();
    this.#running = { phase: name, beganMs: this.#clock.monotonicMs() };
    this.#bytes = 0;
    this.#line({ phase: name, event: 'begin' });
  }

  advance(bytes: number): void {
    this.#bytes += bytes;
  }

  note(message: string): void {
    this.#line({ note: message });
  }

  end(): void {
    if (this.#running === undefined) return;
    const { phase, beganMs } = this.#running;
    this.#running = undefined;
    const durationMs = Math.round(this.#clock.monotonicMs() - beganMs);
    this.#line({ phase, event: 'end', durationMs, bytes: this.#bytes });
  }

  #line(value: object): void {
    this.#write(`${JSON.stringify(value)}\n`);
  }
}
