/** What one host remembers outside the database, in its data directory. Losing it loses freshness, never data. */
export interface LocalState {
  read(): Promise<NodeState | undefined>;
  /** Replaces the whole state atomically and durably. */
  write(state: NodeState): Promise<void>;
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
}
