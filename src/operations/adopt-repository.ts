import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { keyringPrefix, markerPath, probePrefix } from '#format/layout.ts';
import { encodeMarker } from '#format/marker.ts';
import type { KeyringDocument, OpenedKeyring } from '#keys/keyring.ts';
import { parseKeyringPath } from '#keys/keyring-paths.ts';
import { documentLimits } from '#keys/signed-document.ts';
import type { ObjectStore } from '#ports/object-store.ts';
import { appendAuditEvent } from '#store/audit.ts';
import type { ClusterRow } from '#store/cluster.ts';
import { checkMarker } from './check-marker.ts';
import type { Cluster, OperationContext } from './context.ts';
import { listBounded } from './list-bounded.ts';
import { signOfRepository } from './used-repository.ts';

/**
 * Makes sure that the repository is this cluster's and holds its whole keyring. An empty repository is adopted, audited;
 * resolves with whether it was. Throws `repository-foreign`, `damaged`.
 */
export async function adoptOrCheckRepository(
  context: OperationContext,
  cluster: Cluster,
  row: ClusterRow,
): Promise<boolean> {
  const { store, keyring, database } = cluster;
  if (store === undefined) return false;
  const isOurs = await checkBeforeKeys(store, keyring);
  if (!isOurs) await warnOfOther(context, cluster, store);
  await completeKeyring(store, keyring.documents);
  if (isOurs) return false;
  await writeMarker(store, keyring, row.createdAt);
  await database.transaction(async (queries) => {
    const details = { repository: store.location };
    await appendAuditEvent(
      queries,
      {
        type: 'BACKUP',
        actor: context.holder,
        subject: keyring.clusterId,
        action: 'empty repository adopted',
        details,
      },
      context,
    );
  });
  return true;
}

/** Right where the other one was lost or left; else hosts would go on with a repository each. */
async function warnOfOther({ progress }: OperationContext, cluster: Cluster, store: ObjectStore): Promise<void> {
  const sign = await signOfRepository(cluster);
  if (sign === undefined) return;
  progress.note(
    `warning: ${store.location} was empty, and this manager uses it from now on; but the cluster had a repository: ${sign}. ` +
      'Unless that one is lost or was left on purpose, by every host, stop this manager and set ENCLAVE_MANAGER_REPOSITORY to it.',
  );
}

/** `undefined` for no repository, and for one in which nothing lies. */
export async function filledRepository(store: ObjectStore | undefined): Promise<ObjectStore | undefined> {
  return store === undefined || (await isEmptyRepository(store)) ? undefined : store;
}

export async function isEmptyRepository(store: ObjectStore): Promise<boolean> {
  for await (const { key } of listBounded(store, '')) if (!key.startsWith(probePrefix)) return false;
  return true;
}

/**
 * Nobody's keys are put among those of another cluster: hardware of both could then open neither by itself. Resolves with whether
 * the marker is this cluster's; without one the place is empty, but for a part of this keyring. Throws `repository-foreign`, `damaged`.
 */
export async function checkBeforeKeys(store: ObjectStore, keyring: OpenedKeyring): Promise<boolean> {
  const isMarked = (await store.head(markerPath)) !== undefined;
  if (!isMarked && (await holdsNothingElse(store, keyring))) return false;
  await checkMarker(store, keyring);
  return true;
}

/** An adoption or a creation that was interrupted left a part of our own keyring and nothing else. */
async function holdsNothingElse(store: ObjectStore, keyring: OpenedKeyring): Promise<boolean> {
  const ours = new Set(keyring.documents.map(({ path }) => path));
  for await (const { key } of listBounded(store, '')) if (!ours.has(key) && !key.startsWith(probePrefix)) return false;
  return true;
}

/**
 * Writes the documents that are missing. One that lies there with other bytes is left alone: nothing is overwritten,
 * a reader refuses it, and every manifest carries a copy of the true one.
 */
export async function completeKeyring(store: ObjectStore, documents: readonly KeyringDocument[]): Promise<void> {
  const present = new Set<string>();
  for await (const { key } of listBounded(store, keyringPrefix)) present.add(key);
  for (const { path, bytes } of inOrder(documents)) if (!present.has(path)) await store.put(path, bytes);
}

/** An epoch counts from its document on, a node from its membership on: what they need comes first. */
function inOrder(documents: readonly KeyringDocument[]): readonly KeyringDocument[] {
  const order = ['credential', 'slot', 'epoch', 'members'];
  const rank = ({ path }: KeyringDocument): number => order.indexOf(parseKeyringPath(path)?.type ?? '');
  return documents.toSorted((a, b) => rank(a) - rank(b));
}

/** The marker says whose repository it is; it comes last, when the keyring is complete. */
export async function writeMarker(store: ObjectStore, keyring: OpenedKeyring, createdAt: Date): Promise<void> {
  const bytes = encodeMarker(keyring, createdAt);
  if ((await store.put(markerPath, bytes)) === 'created') return;
  const present = await store.get(markerPath, { maxBytes: documentLimits.marker });
  if (present?.equals(bytes)) return;
  throw new EnclaveManagerError('repository-foreign', `another cluster took ${store.location} at the same time`);
}
