import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { openKeyring, type KeyringDocument, type OpenedKeyring } from '#keys/keyring.ts';
import { membersSchema } from '#keys/payloads.ts';
import { resealCredential } from '#keys/reseal-credential.ts';
import { appendAuditEvent } from '#store/audit.ts';
import { saveKeyringDocuments } from '#store/keyring-documents.ts';
import { syncNodes } from '#store/nodes.ts';
import { isAdvanceUnderWay } from './advance-keys.ts';
import type { Cluster, Host, OperationContext } from './context.ts';
import { withKeyFence, type KeyFence } from './key-fence.ts';
import { reopenCluster } from './open-cluster.ts';
import { publishMembership } from './publish-membership.ts';
import { closeBegunEpochs, putAndReadBack } from './store-keys.ts';

/** This host's sealed credential still holds an earlier cluster key, of which an evicted host can make a second successor. */
export const needsReseal = (keyring: OpenedKeyring): boolean =>
  keyring.isMember && !isAdvanceUnderWay(keyring) && keyring.sealedGeneration < keyring.keyGeneration;

/** Seals this host's credential anew with the newest cluster key. Throws `lease-held` while somebody is enrolled or evicted. */
export async function resealOwnCredential(context: OperationContext, host: Host, cluster: Cluster): Promise<Cluster> {
  return await withKeyFence(context, cluster.database, 'enrolment', async (inner, fence) => {
    const opened = await reopenCluster(inner, host, cluster);
    return needsReseal(opened.keyring) ? await reseal(inner, host, opened, fence) : opened;
  });
}

/** Killed anywhere before the membership, the credential of before counts; what was stored until then is of no use to anybody. */
async function reseal(context: OperationContext, host: Host, cluster: Cluster, fence: KeyFence): Promise<Cluster> {
  const { keyring, store, database } = cluster;
  const { documents } = await resealCredential(keyring, { ...context, sealing: host.sealing });
  await requireOpens(host, keyring, documents);
  if (store !== undefined) await closeBegunEpochs(store, keyring, fence);
  if (store !== undefined && !(await putAndReadBack(store, documents.slice(0, -1), fence))) {
    throw new EnclaveManagerError('damaged', `the resealed credential could not be read back from ${store.location}`);
  }
  context.crashPoints.reach('reseal.slots-written');
  const membership = membersSchema.parse(keyring.verify('members', documents.at(-1)!.bytes));
  await database.transaction(async (queries) => {
    await fence.require(queries);
    await saveKeyringDocuments(queries, documents);
    await syncNodes(queries, membership, context);
    const details = { keyGeneration: keyring.keyGeneration, membership: membership.number };
    await appendAuditEvent(
      queries,
      { type: 'KEY', action: 'credential resealed', actor: context.holder, subject: keyring.nodeId, details },
      context,
    );
  });
  context.crashPoints.reach('reseal.recorded');
  const resealed = await publishMembership(context, host, await reopenCluster(context, host, cluster), fence);
  context.crashPoints.reach('reseal.membership-written');
  return resealed;
}

/** A host whose hardware did not open what it sealed would have locked itself out. */
async function requireOpens(
  { sealing }: Host,
  before: OpenedKeyring,
  documents: readonly KeyringDocument[],
): Promise<void> {
  const after = await openKeyring([...before.documents, ...documents], sealing);
  const opensAll = after.epochs.every((epoch) => after.epochsOpenableBy(after.nodeId).has(epoch));
  if (after.isMember && after.sealedGeneration === before.keyGeneration && opensAll) return;
  throw new EnclaveManagerError(
    'sealing-unavailable',
    'the hardware of this host does not open what it sealed just now; the credential of before stays',
  );
}
