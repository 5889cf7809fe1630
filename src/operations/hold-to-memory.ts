import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import type { OpenedKeyring } from '#keys/keyring.ts';
import type { LocalState, NodeState } from '#ports/local-state.ts';

/** What a person decided against is not held to; both are, unless `false`. */
export interface HeldTo {
  readonly key?: boolean;
  readonly membership?: boolean;
}

const waysOn =
  'name the cluster key: keys status --cluster-key FINGERPRINT; where the database is lost restore run latest --cluster-key FINGERPRINT; where its rows were replayed or copied database accept-import --cluster-key FINGERPRINT';

/**
 * A host serves the cluster that it remembers, and none from before the newest cluster key or membership it has seen: who can
 * write to database and repository could otherwise show it another cluster that it once joined, a time before an eviction, or
 * one before hosts were enrolled.
 *
 * `remembered` was read before the keyring was: what another process of this host learns meanwhile may be newer than both.
 */
export function holdToMemory(
  remembered: NodeState | undefined,
  keyring: OpenedKeyring,
  where: string,
  { key = true, membership = true }: HeldTo = {},
): void {
  if (remembered === undefined) return;
  if (remembered.clusterId !== keyring.clusterId) throw ofAnotherCluster(remembered, keyring, where);
  if (key && !keyring.fingerprints.has(remembered.clusterKey)) {
    throw new EnclaveManagerError(
      'forged',
      `this host has seen the cluster key ${remembered.clusterKey}; ${where} leads only to ${keyring.fingerprint}: newer keys were deleted or hidden`,
      {
        hint: `Find the newer keyring/ documents, or a backup that carries them, and put them back. A host that was evicted knows the older key and can show what is from before; where it is certain that the newer one is lost, or was of a rehearsal, ${waysOn} --older.`,
      },
    );
  }
  const hidden = membership ? hiddenMembershipError(remembered, keyring, where) : undefined;
  if (hidden !== undefined) throw hidden;
}

/** `undefined` where this host has seen no later membership. */
export function hiddenMembershipError(
  { highestMembership = 0 }: NodeState,
  { membership: { number } }: OpenedKeyring,
  where: string,
): EnclaveManagerError | undefined {
  if (number >= highestMembership) return undefined;
  return new EnclaveManagerError(
    'forged',
    `this host has seen membership ${highestMembership} of the cluster; ${where} leads only to membership ${number}: newer ones were deleted or hidden`,
    {
      hint: `Find the newer documents of keyring/members/, or a backup that carries them, and put them back. To go on without them, ${waysOn}. Hosts enrolled since are then to be enrolled again.`,
    },
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
