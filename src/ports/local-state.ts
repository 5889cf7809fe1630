/** What one host remembers outside the database, in its data directory. Losing it loses freshness, never data. */
export interface LocalState {
  /** Whole at any time, beside others that update it as well. */
  read(): Promise<NodeState | undefined>;
  /**
   * Replaces the whole state durably by what `change` makes of it; from reading to writing nobody else updates it, in no process of
   * this host. `change` may be asked more than once. Where it throws, gives back `undefined` or what there was, nothing is written.
   *
   * Rejects with what `change` throws; `damaged` as reading; `data-directory-in-use` where another process keeps it too long.
   */
  update<State extends NodeState | undefined>(change: (before: NodeState | undefined) => State): Promise<State>;
}

export interface NodeState {
  readonly clusterId: string;
  readonly nodeId: string;
  readonly credentialId: string;
  readonly sealingProvider: 'software' | 'tpm2' | 'sgx';
  /** Fingerprint of the cluster key this host last trusted. */
  readonly clusterKey: string;
  /** Highest authentic backup sequence this host has seen; 0 before the first. */
  readonly highestSequence: number;
  /** Highest number of a membership that this host has seen in force; an earlier version of the program did not write it. */
  readonly highestMembership?: number | undefined;
  /** Since this host has worked with a release that seals where a life of the database begins. */
  readonly sealsLives?: true | undefined;
}
