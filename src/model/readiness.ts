/** Whether this manager serves, and if not, why and what to do. */
export interface Readiness {
  readonly ready: boolean;
  /** Sentences: why not, or what somebody has to decide while it serves. */
  readonly reasons: readonly string[];
  /** Commands that bring it back, where somebody has to run one. */
  readonly commands: readonly string[];
  /** When to ask again, where it comes back by itself. */
  readonly retryAfterSeconds: number | null;
}

export const ready: Readiness = { ready: true, reasons: [], commands: [], retryAfterSeconds: null };

export const notReady = (
  reason: string,
  more: { readonly commands?: readonly string[]; readonly retryAfterSeconds?: number } = {},
): Readiness => ({
  ready: false,
  reasons: [reason],
  commands: more.commands ?? [],
  retryAfterSeconds: more.retryAfterSeconds ?? null,
});
