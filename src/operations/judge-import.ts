import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import type { NodeState } from '#ports/local-state.ts';
import { refuseHidden } from './hidden-backups.ts';
import { describeNewerKey, nameTheKey } from './newer-key.ts';
import type { OpenedImport } from './open-import.ts';
import { memoryOf } from './remember-node.ts';

/** On whose word an import serves: the backup's, or a person's who named the cluster. */
export type ImportTrust =
  | { readonly kind: 'compared' }
  | {
      readonly kind: 'accepted';
      /** Fingerprint from a recovery line. */
      readonly clusterKey: string;
      /** An export older than the newest backup, or the newest cluster key, that this host has seen is meant. */
      readonly older: boolean;
    };

const acceptCommand = 'enclave-manager database accept-import --cluster-key FINGERPRINT';

/** Holds an import to what this host remembers, before its rows are looked at. */
export function checkImportTrust(opened: OpenedImport, state: NodeState | undefined, trust: ImportTrust): void {
  if (trust.kind === 'accepted') checkAccepted(opened, state, trust);
  else checkRemembered(opened, state);
}

function checkAccepted(
  { keyring, manifest }: OpenedImport,
  state: NodeState | undefined,
  trust: ImportTrust & { readonly kind: 'accepted' },
): void {
  if (trust.clusterKey !== keyring.fingerprint) {
    throw new EnclaveManagerError(
      'forged',
      `the cluster key of the import is ${keyring.fingerprint}, not ${trust.clusterKey}`,
      {
        hint: 'Compare with the newest recovery line; every backup prints one. If it differs, this is another cluster, an export from before an eviction, or a forgery.',
      },
    );
  }
  const { id, sequence } = manifest.summary;
  const seen = memoryOf(keyring, state)?.highestSequence ?? 0;
  if (sequence >= seen || trust.older) return;
  throw new EnclaveManagerError(
    'not-permitted',
    `the export is of backup ${id} with sequence ${sequence}; this host has seen sequence ${seen}: what was written since is not in it`,
    { hint: 'If that is meant, say so: --older' },
  );
}

function checkRemembered({ repository, keyring }: OpenedImport, state: NodeState | undefined): void {
  if (repository === undefined) {
    throw new EnclaveManagerError('import-pending', 'there is no repository to compare the import with', {
      hint: `Set ENCLAVE_MANAGER_REPOSITORY to the one with its backup. To serve the import without: ${acceptCommand}`,
    });
  }
  if (state === undefined) {
    throw new EnclaveManagerError(
      'import-pending',
      `this host remembers no cluster, so it cannot tell whether ${repository.store.location} shows the newest membership and backups`,
      { hint: `Name the cluster by its key, from a recovery line: ${acceptCommand}` },
    );
  }
  const { store, catalog } = repository;
  // The database is what somebody replayed, so it vouches for nothing.
  const newerKey = describeNewerKey(keyring, state, store.location);
  if (newerKey !== undefined)
    throw new EnclaveManagerError('import-pending', newerKey, { hint: nameTheKey(acceptCommand) });
  refuseHidden(
    { where: store.location, newest: catalog.highestSequence, existed: state.highestSequence },
    `Find the newer backups. To serve the import without them: ${acceptCommand} --older`,
  );
}

/** Rows that are not those of the backup serve only when a person says so. */
export function refuseDifferences(id: string, differences: readonly string[], trust: ImportTrust): void {
  if (differences.length === 0 || trust.kind === 'accepted') return;
  const shown = differences.slice(0, 5).join('; ');
  const more = differences.length > 5 ? `; and ${differences.length - 5} more` : '';
  throw new EnclaveManagerError('rows-differ', `the import is not what backup ${id} holds: ${shown}${more}`, {
    hint: `Take back what was granted or set there; for other rows drop and create the database and replay the export again, or restore: restore run ${id}. To serve it as it is: ${acceptCommand}`,
  });
}
