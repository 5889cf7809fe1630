import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import type { OpenedKeyring } from '#keys/keyring.ts';
import type { LocalState, NodeState } from '#ports/local-state.ts';

/**
 * A host serves the cluster that it remembers, and none from before the newest cluster key it has seen: who can write to database
 * and repository could otherwise show it another cluster that it once joined, or a time before an eviction.
 *
 * `remembered` was read before the keyring was: what another process of this host learns meanwhile may be newer than both.
 */
export function holdToMemory(remembered: NodeState | undefined, keyring: OpenedKeyring, where: string): void {
  if (remembered === undefined) return;
  if (remembered.clusterId !== keyring.clusterId) throw ofAnotherCluster(remembered, keyring, where);
  if (keyring.fingerprints.has(remembered.clusterKey)) return;
  throw new EnclaveManagerError(
    'forged',
    `this host has seen the cluster key ${remembered.clusterKey}; ${where} leads only to ${keyring.fingerprint}: newer keys were deleted or hidden`,
    { hint: 'Find the newer keyring/ documents, or a backup that carries them, and put them back.' },
  );
}

export function ofAnotherCluster(
  { clusterId }: NodeState,
  keyring: Pick<OpenedKeyring, 'clusterId'>,
  where: string,
): EnclaveManagerError {
  return new EnclaveManagerError(
    'repository-foreign',
    `this host belongs to cluster ${clusterId}, but ${where} to cluster ${keyring.clusterId}`,
    { hint: 'If the host was moved to that cluster, move state/node.json in its data directory away first.' },
  );
}

/** Where nothing is left of the cluster that this host remembers, no other one is begun by itself. */
export async function refuseToBeginAnew(localState: LocalState, where: string): Promise<void> {
  const state = await localState.read();
  if (state === undefined) return;
  throw new EnclaveManagerError(
    'restore-needed',
    `this host belongs to cluster ${state.clusterId}, of which nothing is left in ${where}; nothing was created`,
    {
      hint: 'Check ENCLAVE_MANAGER_DATABASE_URL and ENCLAVE_MANAGER_REPOSITORY. To begin a new cluster on this host, move state/node.json in its data directory away.',
    },
  );
}
