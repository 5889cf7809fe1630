/** Everything that goes over the network has an end. */
export interface S3Limits {
  readonly connectMs: number;
  /** Without a byte in either direction. */
  readonly idleMs: number;
  /** One request, reply included. */
  readonly requestMs: number;
  /** All attempts at one operation together. */
  readonly operationMs: number;
  readonly attempts: number;
  /** Where nothing answers at all: somebody may sit in front of a terminal. */
  readonly attemptsWhenUnreachable: number;
  readonly firstPauseMs: number;
  readonly longestPauseMs: number;
  /** Requests under way at once, in one thread. */
  readonly concurrency: number;
  /** Credentials in files are looked at no more often than this. */
  readonly credentialsLookMs: number;
}

export const defaultLimits: S3Limits = {
  connectMs: 10_000,
  idleMs: 30_000,
  requestMs: 300_000,
  operationMs: 600_000,
  attempts: 7,
  attemptsWhenUnreachable: 3,
  firstPauseMs: 150,
  longestPauseMs: 10_000,
  concurrency: 16,
  credentialsLookMs: 5_000,
};
