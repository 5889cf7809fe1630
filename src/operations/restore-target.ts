import { EnclaveManagerError, toEnclaveManagerError } from '#errors/enclave-manager-error.ts';
import type { Manifest } from '#format/manifest.ts';
import { requireMember } from '#keys/keyring.ts';
import type { BackupId } from '#model/identifiers.ts';
import type { LocalState, NodeState } from '#ports/local-state.ts';
import type { ObjectStore } from '#ports/object-store.ts';
import type { Sealing } from '#ports/sealing.ts';
import type { LiveKeys } from './bring-keys.ts';
import type { OperationContext } from './context.ts';
import { type AskedFreshness, missingBackups, restoreWithoutThem } from './hidden-backups.ts';
import { holdToMemory, type HeldTo } from './hold-to-memory.ts';
import { withCarriedMembership } from './carried-membership.ts';
import { checkSchema } from './load-backup.ts';
import { refuseNewerKey } from './newer-key.ts';
import { isWhole, newestKeyring, openRepository, type Repository } from './open-repository.ts';
import { refuseLaterKeys } from './later-keys.ts';
import { ofUnexpectedCluster, requireNamedKey } from './proved-key.ts';
import { memoryOf } from './remember-node.ts';
import { readOwner } from './repository-owner.ts';
import { findBackup, readCatalog, type Catalog, type CatalogBackup } from './read-catalog.ts';
import { readManifest } from './read-manifest.ts';
import { noteSeen } from './see-catalog.ts';
import { refuseLost, verifyBackups } from './verify-backup.ts';

/** What makes a host believe that the repository shows the newest state of the right cluster. */
export interface Trust extends AskedFreshness {
  /** Fingerprint from a recovery line; needed where this host remembers no cluster, unless a person confirmed. */
  readonly clusterKey?: string;
  /** A person saw cluster, fingerprint, newest sequence and date, and said yes. */
  readonly confirmed: boolean;
}

export interface ChosenBackup {
  readonly backup: BackupId | 'latest';
  /** What a person was shown that this is: another one is not restored in its place. */
  readonly shown?: BackupId | undefined;
}

export interface RestoreTarget extends Repository {
  readonly catalog: Catalog;
  readonly backup: CatalogBackup;
  readonly manifest: Manifest;
  /** What this host remembered, where a person named the cluster key against it. */
  readonly against: NodeState | undefined;
}

/**
 * Resolves and authenticates the backup to restore. Throws `no-key`, `forged`, `not-found`, `version-incompatible`, `usage`, and
 * `lease-held` where it is not the one that was shown.
 */
export async function openRestoreTarget(
  { clock }: Pick<OperationContext, 'clock'>,
  host: {
    readonly store: ObjectStore;
    readonly sealing: Sealing;
    readonly localState: LocalState;
    /** Where it was opened already; its keyring is looked at again before it is used. */
    readonly repository?: Repository | undefined;
    /** Of the live database and the repository together; preferred where they open all of it. */
    readonly liveKeys?: LiveKeys | undefined;
  },
  { backup: idOrLatest, shown }: ChosenBackup,
  trust: Trust,
): Promise<RestoreTarget> {
  const { store, sealing, localState, liveKeys } = host;
  const remembered = await localState.read();
  const opened =
    liveKeys !== undefined && isWhole(liveKeys.keyring)
      ? { store, keyring: liveKeys.keyring }
      : (host.repository ?? (await openRepository(store, sealing, trust)));
  const repository = await newestKeyring(opened, sealing, trust);
  const catalog = await readCatalog(store, repository.keyring, clock.now());
  const keyring = await withCarriedMembership(store, repository.keyring, catalog, sealing);
  requireMember(keyring);
  await checkOwner({ ...repository, keyring });
  checkFreshness({ ...repository, keyring }, catalog, { state: remembered, liveKeys }, trust);
  await refuseLaterKeys(store, keyring, catalog);
  await noteSeen({ keyring, localState }, catalog);
  const backup = findBackup(catalog, idOrLatest);
  if (shown !== undefined && backup.entry.id !== shown) throw notShown(backup, shown);
  const manifest = await readManifest(store, keyring, backup.entry.id);
  checkSchema(manifest);
  const against = trust.clusterKey === undefined ? undefined : remembered;
  return { ...repository, keyring, catalog, backup, manifest, against };
}

/** Keys or backups came to light, or were taken away, while the plan was read. */
function notShown({ entry: { id, sequence } }: CatalogBackup, shown: BackupId): EnclaveManagerError {
  return new EnclaveManagerError(
    'lease-held',
    `the newest backup is ${id}, of sequence ${sequence}, and was ${shown} when the plan was made; nothing was restored`,
    { hint: 'Run the command again: it shows what it would restore now.' },
  );
}

/** A backup that was never verified is verified first; one that fails is not restored. */
export async function requireVerified(context: OperationContext, target: RestoreTarget): Promise<void> {
  const { entry } = target.backup;
  if (entry.verified !== null) return;
  context.progress.note(`backup ${entry.id} was not verified yet; reading all of it first`);
  const result = await verifyBackups(context, target, [entry.id]);
  if (result.failed.length === 0) return;
  const good = target.catalog.backups.find(
    (backup) => backup.entry.verified !== null && backup.entry.kind !== 'safety',
  );
  try {
    refuseLost(result);
  } catch (error) {
    const hint =
      good === undefined
        ? 'No backup here is verified.'
        : `The newest verified backup is ${good.entry.id}: restore run ${good.entry.id}`;
    throw new EnclaveManagerError('damaged', toEnclaveManagerError(error).message, { hint, cause: error });
  }
}

/** The marker may be lost or damaged: what is restored proves itself. But it must not name somebody else. */
export async function checkOwner({ store, keyring }: Repository): Promise<void> {
  const clusterId = await readOwner(store);
  if (clusterId !== undefined && clusterId !== keyring.clusterId) {
    throw new EnclaveManagerError(
      'repository-foreign',
      `${store.location} belongs to cluster ${clusterId}; the keys that open here are of cluster ${keyring.clusterId}`,
    );
  }
}

const unprovedLife =
  'The live database does not vouch for it: it does not hold that key, or nothing proves that its rows became the cluster there. Where a change of keys was interrupted beside it, start the manager first: it ends that.';

/** What a repository is held to. */
interface Witnesses {
  readonly state: NodeState | undefined;
  readonly liveKeys: LiveKeys | undefined;
}

/**
 * Keys prove who wrote a backup, not that it is the newest. A host that remembers the cluster holds the repository to
 * its high-water mark, and to the cluster key it has seen, unless the live database has the same newer one; a host that
 * remembers nothing needs a person, or the recovery line.
 */
function checkFreshness(repository: Repository, catalog: Catalog, witnesses: Witnesses, trust: Trust): void {
  checkKeys(repository, witnesses, trust);
  const remembered = memoryOf(repository.keyring, witnesses.state)?.highestSequence ?? 0;
  const shown = { where: repository.store.location, newest: catalog.highestSequence, remembered };
  const missing = missingBackups(shown, trust, restoreWithoutThem);
  if (missing !== undefined) throw missing;
}

/** The keys alone, for a plan as well. Throws `forged`, `repository-foreign`, and `usage` where a person has to name the key. */
export function checkKeys(
  { keyring, store }: Repository,
  { state, liveKeys }: Witnesses,
  trust: Pick<Trust, 'clusterKey' | 'confirmed'>,
  heldTo: HeldTo = {},
): void {
  const remembered = memoryOf(keyring, state);
  if (state !== undefined && remembered === undefined && trust.clusterKey === undefined) {
    throw ofUnexpectedCluster(keyring, state, store.location);
  }
  const hasDatabase = liveKeys?.keyring.fingerprint === keyring.fingerprint;
  const where = hasDatabase ? `${store.location} with the live database` : store.location;
  if (trust.clusterKey !== undefined) requireNamedKey(keyring, trust.clusterKey, where);
  if (remembered === undefined && trust.clusterKey === undefined && !trust.confirmed) {
    throw new EnclaveManagerError(
      'usage',
      `this host remembers no cluster, so it cannot tell whether ${store.location} shows the newest backups`,
      {
        hint: 'Add --cluster-key with the fingerprint from the recovery line that every backup prints, or run it on a terminal and confirm.',
      },
    );
  }
  if (remembered !== undefined && trust.clusterKey === undefined) {
    holdToMemory(remembered, keyring, store.location, heldTo);
    const command = 'restore run latest --cluster-key FINGERPRINT';
    if (!hasDatabase) refuseNewerKey(keyring, remembered, where, { command });
    else if (!liveKeys.isVouchedFor) refuseNewerKey(keyring, remembered, where, { command, otherwise: unprovedLife });
  }
}
