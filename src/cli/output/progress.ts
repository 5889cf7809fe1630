import type { Clock } from '#ports/clock.ts';
import type { Progress } from '#ports/progress.ts';
import { ProgressMeter } from './progress-meter.ts';
import { printable } from './style.ts';
import { formatDuration, formatSize } from './units.ts';

type Write = (text: string) => void;
/** Breaks what is longer than a line. */
type Fit = (text: string) => string;
const asItIs: Fit = (text) => text;

export const silentProgress: Progress = { phase: () => {}, advance: () => {}, note: () => {}, end: () => {} };

/** Beside a document: nothing of how far it is, but what a person should read. */
export class ProgressNotes implements Progress {
  readonly #write: Write;

  constructor(write: Write) {
    this.#write = write;
  }

  phase(): void {}

  advance(): void {}

  note(message: string): void {
    this.#write(`${printable(message)}\n`);
  }

  end(): void {}
}

const redrawMs = 100;
const barWidth = 20;
const clearLine = '\r\u001b[K';

/** One line at the foot of a terminal, drawn again at most ten times a second and gone at the end. */
export class ProgressBar implements Progress {
  readonly #write: Write;
  readonly #clock: Clock;
  readonly #columns: () => number;
  readonly #fit: Fit;
  #meter: ProgressMeter | undefined;
  #drawnMs = -Infinity;

  constructor(write: Write, clock: Clock, columns: () => number, fit: Fit = asItIs) {
    this.#write = write;
    this.#clock = clock;
    this.#columns = columns;
    this.#fit = fit;
  }

  phase(name: string, totalBytes?: number): void {
    this.#meter = new ProgressMeter(name, totalBytes, this.#clock.monotonicMs());
    this.#draw(true);
  }

  advance(bytes: number): void {
    this.#meter?.advance(bytes);
    this.#draw(false);
  }

  note(message: string): void {
    this.#write(`${clearLine}${this.#fit(printable(message))}\n`);
    this.#draw(true);
  }

  end(): void {
    if (this.#meter !== undefined) this.#write(clearLine);
    this.#meter = undefined;
  }

  #draw(now: boolean): void {
    const nowMs = this.#clock.monotonicMs();
    if (this.#meter === undefined || (!now && nowMs - this.#drawnMs < redrawMs)) return;
    this.#drawnMs = nowMs;
    this.#write(`${clearLine}${barLine(this.#meter, nowMs).slice(0, Math.max(0, this.#columns() - 1))}`);
  }
}

/** `reading rows  [########............]  40 %  12 MiB of 30 MiB  35 MiB/s  1.2 s left` */
function barLine(meter: ProgressMeter, nowMs: number): string {
  const { fraction } = meter;
  const parts = [printable(meter.name)];
  if (fraction !== undefined) {
    const filled = Math.round(fraction * barWidth);
    parts.push(`[${'#'.repeat(filled)}${'.'.repeat(barWidth - filled)}]`);
  }
  return [...parts, ...measures(meter, nowMs)].join('  ');
}

function measures(meter: ProgressMeter, nowMs: number): string[] {
  const parts: string[] = [];
  if (meter.fraction !== undefined) parts.push(`${String(Math.floor(meter.fraction * 100)).padStart(3)} %`);
  if (meter.bytes > 0) {
    const size = formatSize(meter.bytes);
    parts.push(
      meter.totalBytes === undefined ? size : `${size} of ${formatSize(Math.max(meter.totalBytes, meter.bytes))}`,
    );
  }
  const rate = meter.bytesPerSecond(nowMs);
  if (rate !== undefined) parts.push(`${formatSize(rate)}/s`);
  const remainingMs = meter.remainingMs(nowMs);
  if (remainingMs !== undefined) parts.push(`${formatDuration(remainingMs)} left`);
  return parts;
}

const lineEveryMs = 10_000;

/** Lines for a log: a phase that takes long says so every ten seconds, a short one says nothing. */
export class ProgressLines implements Progress {
  readonly #write: Write;
  readonly #clock: Clock;
  readonly #fit: Fit;
  #meter: ProgressMeter | undefined;
  #writtenMs = 0;

  constructor(write: Write, clock: Clock, fit: Fit = asItIs) {
    this.#write = write;
    this.#clock = clock;
    this.#fit = fit;
  }

  phase(name: string, totalBytes?: number): void {
    this.#writtenMs = this.#clock.monotonicMs();
    this.#meter = new ProgressMeter(name, totalBytes, this.#writtenMs);
  }

  advance(bytes: number): void {
    this.#meter?.advance(bytes);
    const nowMs = this.#clock.monotonicMs();
    if (this.#meter === undefined || nowMs - this.#writtenMs < lineEveryMs) return;
    this.#writtenMs = nowMs;
    this.#write(`${printable(this.#meter.name)}: ${measures(this.#meter, nowMs).join(', ').trim()}\n`);
  }

  note(message: string): void {
    this.#write(`${this.#fit(printable(message))}\n`);
  }

  end(): void {
    this.#meter = undefined;
  }
}
