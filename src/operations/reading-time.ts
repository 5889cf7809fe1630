import type { Clock } from '#ports/clock.ts';

/** When somebody began to read a backup back, by this host's clocks. */
export interface ReadingTime {
  readonly at: string;
  /** Milliseconds since, rather too many than too few: this host may have slept, or its wall clock jumped. */
  elapsedMs(): number;
}

export function beginReading(clock: Clock): ReadingTime {
  const begun = clock.now();
  const begunMs = clock.monotonicMs();
  const elapsedMs = (): number =>
    Math.ceil(Math.max(clock.monotonicMs() - begunMs, clock.now().getTime() - begun.getTime()));
  return { at: begun.toISOString(), elapsedMs };
}
