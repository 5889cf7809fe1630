/** Time comes in through this port only, so that tests can choose it. */
export interface Clock {
  /** Wall time. May jump; never used to order or expire things that other hosts wrote. */
  now(): Date;
  /** Milliseconds that never go back, for durations and timeouts. */
  monotonicMs(): number;
  /** Resolves after `ms`; rejects with the signal's reason when it aborts first. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}
