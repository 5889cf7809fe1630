import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { requireMember, type OpenedKeyring } from '#keys/keyring.ts';
import type { NodeState } from '#ports/local-state.ts';
import { holdToMemory } from './hold-to-memory.ts';
import { describeNewerKey, nameTheKey, refuseNewerKey, whoCouldHaveMadeIt } from './newer-key.ts';
import { memoryOf } from './remember-node.ts';

/**
 * What a restore holds a repository to, for whoever looks at its backups without a database: the cluster key is the one that
 * this host has seen, that its hardware sealed where it remembers nothing, or that a person named.
 *
 * Throws `forged`, `repository-foreign`, and for a newer key `usage`, or `not-permitted` on a host that was evicted.
 */
export function requireProvedKey(
  keyring: OpenedKeyring,
  state: NodeState | undefined,
  where: string,
  clusterKey: string | undefined,
): void {
  if (clusterKey !== undefined) return requireNamedKey(keyring, clusterKey, where);
  const remembered = memoryOf(keyring, state);
  if (state !== undefined && remembered === undefined) throw ofUnexpectedCluster(keyring, state, where);
  // A membership that was hidden says nothing of who signed a backup.
  holdToMemory(remembered, keyring, where, { membership: false });
  // A host that was evicted since has nothing to name.
  if (isNewer(keyring, remembered, where)) requireMember(keyring);
  refuseNewerKey(keyring, remembered, where, { otherwise: learnIt });
  if (isNewer(keyring, remembered, where)) {
    const message = `the hardware of this host sealed the cluster key of generation ${keyring.sealedGeneration}; ${where} leads on to ${keyring.fingerprint}, ${whoCouldHaveMadeIt}`;
    throw new EnclaveManagerError('usage', message, { hint: `${nameTheKey('--cluster-key FINGERPRINT')}. ${learnIt}` });
  }
}

const isNewer = (keyring: OpenedKeyring, remembered: NodeState | undefined, where: string): boolean =>
  remembered === undefined
    ? keyring.sealedGeneration < keyring.keyGeneration
    : describeNewerKey(keyring, remembered, where) !== undefined;

const learnIt = 'Beside the live database this host learns it: keys status.';

/** Throws `forged` where a person named another key. */
export function requireNamedKey({ fingerprint }: OpenedKeyring, clusterKey: string, where: string): void {
  if (clusterKey === fingerprint) return;
  throw new EnclaveManagerError('forged', `the cluster key of ${where} is ${fingerprint}, not ${clusterKey}`, {
    hint: 'Compare with the recovery line that every backup prints. If it differs, this is another cluster, or somebody forged it.',
  });
}

export const ofUnexpectedCluster = (keyring: OpenedKeyring, state: NodeState, where: string): EnclaveManagerError =>
  new EnclaveManagerError(
    'repository-foreign',
    `this host belongs to cluster ${state.clusterId}, but ${where} to cluster ${keyring.clusterId}`,
    {
      hint: 'If this is meant, name the cluster by its key: --cluster-key FINGERPRINT',
    },
  );
