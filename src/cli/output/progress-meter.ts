/** How far a phase is, as a rate and an estimate; both output forms of progress share it. */
export class ProgressMeter {
  readonly name: string;
  readonly totalBytes: number | undefined;
  readonly #beginMs: number;
  #bytes = 0;

  constructor(name: string, totalBytes: number | undefined, nowMs: number) {
    this.name = name;
    this.totalBytes = totalBytes;
    this.#beginMs = nowMs;
  }

  get bytes(): number {
    return this.#bytes;
  }

  advance(bytes: number): void {
    this.#bytes += bytes;
  }

  /** Between 0 and 1. Totals are estimates, so more than all of it counts as all. */
  get fraction(): number | undefined {
    if (this.totalBytes === undefined || this.totalBytes <= 0) return undefined;
    return Math.min(1, this.#bytes / this.totalBytes);
  }

  bytesPerSecond(nowMs: number): number | undefined {
    const elapsedMs = nowMs - this.#beginMs;
    return elapsedMs < 500 || this.#bytes === 0 ? undefined : (this.#bytes / elapsedMs) * 1000;
  }

  remainingMs(nowMs: number): number | undefined {
    const rate = this.bytesPerSecond(nowMs);
    if (rate === undefined || this.totalBytes === undefined) return undefined;
    return (Math.max(0, this.totalBytes - this.#bytes) / rate) * 1000;
  }
}
