/** What was found about the rows, as the audit log keeps it. */
export interface ImportCheck {
  /** `null`: they were compared; otherwise why not. */
  readonly notCompared: string | null;
  readonly differences: readonly string[];
  /** The fingerprint that a person named; `null` where nobody had to. */
  readonly acceptedFor: string | null;
  /** Where that is older than the newest one this host has seen: that one. */
  readonly clusterKeyGivenUp?: string;
}
