import type { ErrorCode } from '#errors/codes.ts';
import { EnclaveManagerError, isEnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { openKeyring, type KeyringDocument, type OpenedKeyring } from '#keys/keyring.ts';
import { sha256Hex } from '#keys/keyring-entry.ts';
import { parseKeyringPath } from '#keys/keyring-paths.ts';
import type { ObjectStore } from '#ports/object-store.ts';
import { readKeyringDocuments } from '#store/keyring-documents.ts';
import { completeKeyring } from './adopt-repository.ts';
import { checkMarker } from './check-marker.ts';
import type { Host, OperationContext } from './context.ts';
import { memoryOf } from './remember-node.ts';
import { describeNewerKey, liveDatabaseVouches } from './newer-key.ts';
import { isWhole, readKeyringDocuments as readRepositoryDocuments, type Repository } from './open-repository.ts';
import { readLiveCluster } from './read-live-cluster.ts';

type BringingHost = Pick<Host, 'server' | 'sealing' | 'localState'> & {
  readonly store: ObjectStore;
  readonly repository?: Repository | undefined;
};

/** The keys of the cluster as live database and repository have them together. */
export interface LiveKeys {
  readonly keyring: OpenedKeyring;
  /** Where this host has not seen the newest cluster key: whether the database vouches for it. */
  readonly isVouchedFor: boolean;
}

/**
 * Brings what the live database alone knows of the keys to the repository, before a restore: somebody who was killed between
 * the two may have left the newest membership in the database, and the restore would undo it. `undefined` where the database
 * says nothing of this cluster; what lies in the repository counts then. Nothing is brought that leads to a key which this host has not
 * seen, the database does not vouch for and nobody named.
 *
 * Throws `forged` where the two lead to different keys: an evicted host that replaced the repository knows a key that
 * this host may still trust. `clusterKey`, named by a person, decides.
 */
export async function bringKeysToRepository(
  context: OperationContext,
  host: BringingHost,
  clusterKey?: string,
): Promise<LiveKeys | undefined> {
  const found = await unlessImpossible(context, () => readBoth(host));
  if (found === undefined) return undefined;
  const keyring = await unlessImpossible(context, () => openBoth(host, found, clusterKey), 'forged');
  if (keyring === undefined || keyring.clusterId !== found.clusterId) return undefined;
  const isSeen = await hasSeenNewestKey(host, keyring);
  const vouches = async (): Promise<boolean> => await liveDatabaseVouches(host.server, keyring);
  const isVouchedFor = isSeen || ((await unlessImpossible(context, vouches)) ?? false);
  if (isVouchedFor || clusterKey === keyring.fingerprint)
    await unlessImpossible(context, () => complete(context, host, keyring, found.inRepository));
  return { keyring, isVouchedFor };
}

async function hasSeenNewestKey({ localState, store }: BringingHost, keyring: OpenedKeyring): Promise<boolean> {
  const remembered = memoryOf(keyring, await localState.read());
  return describeNewerKey(keyring, remembered, store.location) === undefined;
}

/** A database that holds what this host does not open is no reason not to restore; two histories of its cluster are. */
async function unlessImpossible<T>(
  { progress, signal }: OperationContext,
  work: () => Promise<T>,
  thrown?: ErrorCode,
): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    if (!isEnclaveManagerError(error) || error.code === thrown || signal.aborted) throw error;
    progress.note(`the keys in the live database are not looked at: ${error.message}`);
    return undefined;
  }
}

/**
 * The keys of live database and repository together, as the restore has them; `undefined` where the database says nothing of this cluster.
 * Changes nothing. Throws `forged` as that does.
 */
export async function keysBesideLive(host: BringingHost, clusterKey?: string): Promise<LiveKeys | undefined> {
  try {
    const found = await readBoth(host);
    const keyring = found && (await openBoth(host, found, clusterKey));
    if (keyring === undefined || keyring.clusterId !== found?.clusterId) return undefined;
    const isVouchedFor = (await hasSeenNewestKey(host, keyring)) || (await vouchesIfAsked(host, keyring));
    return { keyring, isVouchedFor };
  } catch (error) {
    if (!isEnclaveManagerError(error) || error.code === 'forged') throw error;
    return undefined;
  }
}

async function vouchesIfAsked({ server }: BringingHost, keyring: OpenedKeyring): Promise<boolean> {
  try {
    return await liveDatabaseVouches(server, keyring);
  } catch (error) {
    if (!isEnclaveManagerError(error)) throw error;
    return false;
  }
}

/** The repository to plan a restore with: by these keys, where they open all of it. */
export async function openBesideLive(
  host: BringingHost & { readonly repository: Repository },
  clusterKey?: string,
): Promise<Repository> {
  const live = await keysBesideLive(host, clusterKey);
  return live !== undefined && isWhole(live.keyring) ? { store: host.store, keyring: live.keyring } : host.repository;
}

interface FoundKeys {
  /** By the rows of the database. */
  readonly clusterId: string;
  readonly inDatabase: readonly KeyringDocument[];
  readonly inRepository: readonly KeyringDocument[];
}

async function readBoth(host: BringingHost): Promise<FoundKeys | undefined> {
  const { server, store } = host;
  const row = await readLiveCluster(host);
  if (row === undefined || row.state === 'creating') return undefined;
  const inRepository = await readRepositoryDocuments(store);
  const database = server.open(server.liveName, { connections: 1 });
  try {
    return { clusterId: row.clusterId, inDatabase: await readKeyringDocuments(database.queries), inRepository };
  } finally {
    await database.close();
  }
}

/** Opening is slow where the hardware is: what the repository was opened from already is not opened again. */
async function openBoth(
  host: BringingHost,
  { inDatabase, inRepository }: FoundKeys,
  clusterKey: string | undefined,
): Promise<OpenedKeyring> {
  const opened = host.repository?.keyring;
  const both = [...inRepository, ...inDatabase];
  if (opened !== undefined && both.every(({ bytes }) => opened.seen.has(sha256Hex(bytes)))) return opened;
  const documents = [...both, ...(opened?.documents ?? [])];
  const clusterId = opened?.clusterId;
  try {
    return await openKeyring(documents, host.sealing, { clusterId });
  } catch (error) {
    if (!isEnclaveManagerError(error, 'forged')) throw error;
    const named =
      clusterKey && (await openKeyring(documents, host.sealing, { clusterId, clusterKey }).catch(() => undefined));
    if (named) return named;
    throw await contradiction(host, { inDatabase, inRepository }, error);
  }
}

async function complete(
  context: OperationContext,
  { store }: BringingHost,
  keyring: OpenedKeyring,
  inRepository: readonly KeyringDocument[],
): Promise<void> {
  const present = Map.groupBy(inRepository, ({ path }) => path);
  const missing = keyring.documents.filter(
    ({ path, bytes }) => present.get(path)?.some((stored) => stored.bytes.equals(bytes)) !== true,
  );
  for (const { path } of missing.filter((each) => present.has(each.path) && saysWhoBelongs(each))) {
    context.progress.note(
      `warning: ${path} in ${store.location} is not what the cluster signed; move it away and keep it as evidence: the next backup puts the right one back`,
    );
  }
  if (missing.every(({ path }) => present.has(path))) return;
  await checkMarker(store, keyring);
  await completeKeyring(store, keyring.documents);
}

const saysWhoBelongs = ({ path }: KeyringDocument): boolean =>
  ['epoch', 'members'].includes(parseKeyringPath(path)?.type ?? '');

async function contradiction(
  { server, store, sealing }: BringingHost,
  { inDatabase, inRepository }: Pick<FoundKeys, 'inDatabase' | 'inRepository'>,
  cause: EnclaveManagerError,
): Promise<EnclaveManagerError> {
  const database = `the database "${server.liveName}"`;
  const leadsTo = async (where: string, documents: readonly KeyringDocument[]): Promise<string> => {
    const keyring = await openKeyring(documents, sealing).catch(() => undefined);
    return keyring === undefined
      ? `${where} alone does not open`
      : `${where} leads to ${keyring.fingerprint} in keyring/epochs/${keyring.newestEpoch}/epoch.json`;
  };
  const sides = [await leadsTo(database, inDatabase), await leadsTo(store.location, inRepository)];
  return new EnclaveManagerError(
    'forged',
    `the keys in ${database} and in ${store.location} contradict each other: ${sides.join(', ')}. ${cause.message}`,
    {
      hint: 'Somebody who knew an old key, such as an evicted host, made one of the two. Take the right one from the newest recovery line, or from keys status on a host that was on, and name it: --cluster-key FINGERPRINT. Move the documents of the other one away from keyring/ and keep them as evidence.',
      cause,
    },
  );
}
