import { EnclaveManagerError, isEnclaveManagerError } from '#errors/enclave-manager-error.ts';
import type { OpenedKeyring } from '#keys/keyring.ts';
import { notMember } from '#keys/opened-keyring.ts';
import type { LocalState, NodeState } from '#ports/local-state.ts';
import type { DatabaseServer } from '#ports/database.ts';
import type { ObjectStore } from '#ports/object-store.ts';
import type { Sealing } from '#ports/sealing.ts';
import { keysBesideLive, type LiveKeys } from './bring-keys.ts';
import { withCarriedMembership } from './carried-membership.ts';
import { hiddenMembershipError } from './hold-to-memory.ts';
import { refuseLaterKeys } from './later-keys.ts';
import { isWhole, openRepository, type Repository } from './open-repository.ts';
import type { Catalog } from './read-catalog.ts';
import { memoryOf } from './remember-node.ts';
import { checkKeys, checkOwner } from './restore-target.ts';

interface PlanningHost {
  readonly store: ObjectStore;
  readonly sealing: Sealing;
  readonly localState: LocalState;
  readonly repository?: Repository | undefined;
  readonly clusterKey?: string | undefined;
  readonly server: DatabaseServer | undefined;
}

/** What a plan is made with: by the keys of live database and repository together, where they open all of it, as the restore is. */
export type PlannedKeys =
  | { readonly unopened: EnclaveManagerError }
  | {
      readonly repository: Repository;
      readonly liveKeys: LiveKeys | undefined;
      /** Where database and repository lead to two keys. */
      readonly contradiction: EnclaveManagerError | undefined;
    };

export async function openPlannedKeys(host: PlanningHost): Promise<PlannedKeys> {
  const repository = await refusedBy(['no-key', 'sealing-unavailable'], () => openPlanned(host));
  if (repository instanceof EnclaveManagerError) return { unopened: repository };
  const { server, clusterKey } = host;
  if (server === undefined) return { repository, liveKeys: undefined, contradiction: undefined };
  const live = await refusedBy(['forged'], () => keysBesideLive({ ...host, server, repository }, clusterKey));
  if (live instanceof EnclaveManagerError) return { repository, liveKeys: undefined, contradiction: live };
  const opened = live !== undefined && isWhole(live.keyring) ? { ...repository, keyring: live.keyring } : repository;
  return { repository: opened, liveKeys: live, contradiction: undefined };
}

const openPlanned = async ({ repository, store, sealing, clusterKey }: PlanningHost): Promise<Repository> =>
  repository ?? (await openRepository(store, sealing, { clusterKey }));

export interface JudgedKeys {
  /** Why nothing is proved. */
  readonly unproved: EnclaveManagerError | undefined;
  /** Memberships that this host has seen, and that nothing shows; of who signed a backup they say nothing. */
  readonly hidden: EnclaveManagerError | undefined;
  /** Why this host may not restore. */
  readonly notPermitted: EnclaveManagerError | undefined;
}

/** Holds the keys to what a restore holds them to, where a person confirms what can be confirmed. */
export async function judgeKeys(
  { store, sealing, clusterKey }: PlanningHost,
  keys: PlannedKeys,
  catalog: Catalog,
  state: NodeState | undefined,
): Promise<JudgedKeys> {
  if ('unopened' in keys) return { unproved: keys.unopened, hidden: undefined, notPermitted: undefined };
  const { liveKeys, contradiction } = keys;
  const opened = keys.repository.keyring;
  const remembered = memoryOf(opened, state);
  const misses = !opened.isMember || hiddenBy(remembered, opened, store) !== undefined;
  const keyring = misses ? await withCarriedMembership(store, opened, catalog, sealing) : opened;
  const repository = { store, keyring };
  const trust = { confirmed: true, ...(clusterKey === undefined ? {} : { clusterKey }) };
  const refused = await refusedBy(['forged', 'repository-foreign', 'usage'], async () => {
    await checkOwner(repository);
    checkKeys(repository, { state, liveKeys }, trust, { membership: false });
    await refuseLaterKeys(store, keyring, catalog);
  });
  return {
    unproved: contradiction ?? refused ?? undefined,
    hidden: clusterKey === undefined ? hiddenBy(remembered, keyring, store) : undefined,
    notPermitted: keyring.isMember ? undefined : notMember(keyring.nodeId, keyring.membership),
  };
}

const hiddenBy = (remembered: NodeState | undefined, keyring: OpenedKeyring, { location }: ObjectStore) =>
  remembered && hiddenMembershipError(remembered, keyring, location);

async function refusedBy<T>(
  codes: readonly EnclaveManagerError['code'][],
  work: () => Promise<T>,
): Promise<T | EnclaveManagerError> {
  try {
    return await work();
  } catch (error) {
    if (!isEnclaveManagerError(error, ...codes)) throw error;
    return error;
  }
}
