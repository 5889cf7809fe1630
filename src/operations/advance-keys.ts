import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import type { KeyringDocument, OpenedKeyring } from '#keys/keyring.ts';
import { parseKeyringPath } from '#keys/keyring-paths.ts';
import { nextMembership } from '#keys/next-membership.ts';
import { membersSchema, type MemberNode } from '#keys/payloads.ts';
import type { NodeId } from '#model/identifiers.ts';
import type { ObjectStore } from '#ports/object-store.ts';
import { saveKeyringDocuments } from '#store/keyring-documents.ts';
import { requireCurrentColumns } from '#store/sealed-values.ts';
import { readAcceptedPast } from './accepted-past.ts';
import { completeKeyring } from './adopt-repository.ts';
import { checkMarker } from './check-marker.ts';
import type { Cluster, Host, OperationContext } from './context.ts';
import type { KeyFence } from './key-fence.ts';
import { reopenCluster } from './open-cluster.ts';
import { type AskedFreshness, missingBackups } from './hidden-backups.ts';
import { refuseOlderLife } from './newer-life.ts';
import { publishMembership } from './publish-membership.ts';
import { readCatalog } from './read-catalog.ts';
import { seeCatalog } from './see-catalog.ts';
import { settleKeys } from './settle-keys.ts';
import { confirmInBoth, freeEpoch, putAndReadBack } from './store-keys.ts';
import { describeUnlisted, newestRecordedBackup, refuseUnlisted } from './unlisted-backup.ts';
import { refuseUnseenRepository } from './used-repository.ts';

/** A new generation is committed, and the membership does not name its epoch yet: somebody was interrupted. */
export const isAdvanceUnderWay = ({ membership, newestEpoch }: OpenedKeyring): boolean =>
  membership.currentEpoch !== newestEpoch;

export const isMember = ({ membership }: OpenedKeyring, nodeId: NodeId): boolean =>
  membership.nodes.some((node) => node.nodeId === nodeId);

const maxAttempts = 16;

/**
 * A backup that is hidden now would not be on the list of what counts, and so never be one again. And with keys that another
 * database of this cluster changed, the live one opens no more.
 */
async function refuseMissingBackups(
  { clock }: OperationContext,
  cluster: Cluster & { readonly store: ObjectStore },
  accepted: AskedFreshness,
): Promise<void> {
  const { store, keyring } = cluster;
  const recorded = await newestRecordedBackup(cluster.database.queries, clock);
  const { catalog, existed } = await seeCatalog(cluster, () => readCatalog(store, keyring));
  await refuseOlderLife(cluster, catalog);
  const { highestSequence: newest } = catalog;
  const shown = { where: store.location, newest, remembered: existed };
  const missing = missingBackups(
    shown,
    accepted,
    (option) => `Put the missing backups back: with new keys they would never count again. To lose them: ${option}.`,
  );
  if (missing !== undefined) throw missing;
  if (accepted.missingAfter !== newest) refuseUnlisted(describeUnlisted(recorded, catalog, store), newest);
}

/**
 * Commits the next key generation with an epoch of its own. The slots come first, each read back; the epoch document is the
 * commit. Killed before, the cluster has the keys it had; killed after, `finishAdvance` goes on, on any remaining host: the
 * document says who is left out.
 */
export async function beginAdvance(
  context: OperationContext,
  cluster: Cluster,
  { evicted, accepted }: { readonly evicted: readonly NodeId[]; readonly accepted: AskedFreshness },
  fence: KeyFence,
): Promise<void> {
  const { keyring, store, database } = cluster;
  await refuseUnseenRepository(cluster, accepted);
  if (store !== undefined) {
    await checkMarker(store, keyring);
    await refuseMissingBackups(context, { ...cluster, store }, accepted);
    await completeKeyring(store, keyring.documents);
  }
  // Sealed anew, it would count from then on; and once the new keys are committed there is no way back.
  await requireCurrentColumns(database.queries, keyring);
  for (let attempt = 0; attempt < maxAttempts; attempt += 1) {
    const epoch = await freeEpoch(store, database, keyring, fence);
    context.progress.phase('reading what the cluster has signed');
    // Each time: who took the name of the last attempt may have backed up before.
    const acceptedPast = await readAcceptedPast(context, store, keyring);
    const documents = await keyring.newGeneration({ epoch, evicted, acceptedPast }, context);
    if (await commit(context, { store, database }, documents, fence)) return;
  }
  throw new EnclaveManagerError('damaged', `${maxAttempts} times something else lay where new keys should be stored`, {
    hint: 'Somebody else writes to the repository: find out who, then run the command again.',
  });
}

async function commit(
  context: OperationContext,
  { store, database }: Pick<Cluster, 'store' | 'database'>,
  documents: readonly KeyringDocument[],
  fence: KeyFence,
): Promise<boolean> {
  if (store === undefined) {
    context.crashPoints.reach('advance-keys.slots-written');
    context.crashPoints.reach('advance-keys.committing');
    await database.transaction(async (queries) => {
      await fence.require(queries);
      await saveKeyringDocuments(queries, documents);
    });
  } else {
    if (!(await putAndReadBack(store, documents.slice(0, -1), fence))) return false;
    context.crashPoints.reach('advance-keys.slots-written');
    const check = async (): Promise<void> => {
      await fence.check();
      context.crashPoints.reach('advance-keys.committing');
    };
    if (!(await putAndReadBack(store, documents.slice(-1), { check }))) return false;
  }
  context.crashPoints.reach('advance-keys.epoch-written');
  return true;
}

/**
 * Makes the newest epoch the current one, for every member, of whom those that its document leaves out are none: slots in repository and
 * database, read back; then in one transaction the membership, every sealed column and the nodes; then the membership in
 * the repository. Safe to repeat from any remaining host.
 */
export async function finishAdvance(
  context: OperationContext,
  host: Host,
  cluster: Cluster,
  fence: KeyFence,
): Promise<Cluster> {
  const { keyring, store, database } = cluster;
  context.progress.phase('giving the new keys to every host');
  const { nodes } = keyring.membership;
  const documents = [...keyring.documents, ...(await missingSlots(keyring, nodes))];
  await database.transaction(async (queries) => {
    await fence.require(queries);
    await saveKeyringDocuments(queries, documents);
  });
  await fence.check();
  if (store !== undefined) await completeKeyring(store, documents);
  await confirmInBoth(
    store,
    database,
    documents.filter(({ path }) => isOfEpoch(path, keyring.newestEpoch)),
  );
  context.crashPoints.reach('advance-keys.confirmed');

  context.progress.phase('encrypting the secrets in the database anew');
  const members = nextMembership(keyring, { nodes, currentEpoch: keyring.newestEpoch }, context.clock.now());
  const membership = membersSchema.parse(keyring.verify('members', members.bytes));
  await database.transaction(async (queries) => {
    await fence.require(queries);
    const columns = { accepted: [keyring.membership.currentEpoch], refused: 'throw' } as const;
    await settleKeys(context, queries, keyring, { membership, documents: [members], columns, database });
  });
  context.crashPoints.reach('advance-keys.settled');
  const settled = await publishMembership(context, host, await reopenCluster(context, host, cluster), fence);
  context.crashPoints.reach('advance-keys.membership-written');
  return settled;
}

/** A slot that somebody took away from the repository before it reached the database is made again. */
async function missingSlots(keyring: OpenedKeyring, nodes: readonly MemberNode[]): Promise<KeyringDocument[]> {
  const made: KeyringDocument[] = [];
  for (const node of nodes) {
    if (keyring.epochsOpenableBy(node.nodeId).has(keyring.newestEpoch)) continue;
    const slots = await keyring.wrapRootKeys(node);
    made.push(...slots.filter(({ path }) => isOfEpoch(path, keyring.newestEpoch)));
  }
  return made;
}

function isOfEpoch(path: string, epoch: number): boolean {
  const place = parseKeyringPath(path);
  return place !== undefined && 'epoch' in place && place.epoch === epoch;
}
