/**
 * What one host remembers of verifications that found something bad, in its data directory: who can delete in the repository
 * does not make it forget. Only what the cluster signed is added. Losing it loses freshness, never data.
 */
export interface FailureMemory {
  /** Oldest first. `damaged` where it cannot be read. */
  read(): Promise<readonly RememberedFailure[]>;
  /** Durable when it resolves; what is remembered already stays as it is. Beyond a limit the oldest are forgotten. */
  add(failures: readonly RememberedFailure[]): Promise<void>;
}

export interface RememberedFailure {
  readonly clusterId: string;
  /** Of the repository, as its store calls it. */
  readonly location: string;
  readonly path: string;
  /** By the clock of the store, RFC 3339. */
  readonly modifiedAt: string;
  readonly verificationId: string;
  readonly backups: readonly string[];
  readonly level: 'new-chunks' | 'all-chunks' | 'restored';
  readonly at: string;
  readonly readingMs: number | null;
  readonly nodeId: string;
  readonly passed: boolean;
  /** Names of the objects that were missing or not good. */
  readonly bad: readonly string[];
}
