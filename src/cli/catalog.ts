import { type EnclaveManagerError, isEnclaveManagerError } from '#errors/enclave-manager-error.ts';
import type { OpenedKeyring } from '#keys/keyring.ts';
import type { BackupId } from '#model/identifiers.ts';
import { parseBackupId } from '#model/identifiers.ts';
import { causeOf, unknownBecause, type UnknownCause } from '#model/unknown.ts';
import type { Repository } from '#operations/open-repository.ts';
import type { Catalog } from '#operations/read-catalog.ts';
import type { SeenCatalog } from '#operations/see-catalog.ts';
import type { ObjectStore } from '#ports/object-store.ts';
import type { Environment } from './environment.ts';

export interface OpenedCatalog {
  readonly store: ObjectStore;
  /** Why nothing is known to be authentic, where this host has no key, or none that is proved. */
  readonly keys: OpenedKeyring | EnclaveManagerError;
  readonly catalog: Catalog;
  /** An empty list does not mean that there is no backup: something lies there that is none, some were hidden, or nothing is proved. */
  readonly isDoubtful: boolean;
}

/** Somebody may have put thousands of objects there. */
const maxWarnings = 20;

/** The backups of the repository, read without any database, and without a key where this host has none. */
export async function openCatalog(environment: Environment, clusterKey: string | undefined): Promise<OpenedCatalog> {
  const { readCatalog } = await import('#operations/read-catalog.ts');
  return await openWith(environment, clusterKey, (store, keyring) =>
    readCatalog(store, keyring, environment.context.clock.now()),
  );
}

/** The same to look at: what this host read before, and the store lists unchanged, is not read again. */
export async function lookAtCatalog(environment: Environment, clusterKey: string | undefined): Promise<OpenedCatalog> {
  const { recallCatalog } = await import('#operations/recall-catalog.ts');
  return await openWith(environment, clusterKey, (store, keyring) =>
    recallCatalog(store, keyring, environment.catalogCache(), environment.context.clock.now()),
  );
}

async function openWith(
  environment: Environment,
  clusterKey: string | undefined,
  read: (store: ObjectStore, keyring: OpenedKeyring | undefined) => Promise<Catalog>,
): Promise<OpenedCatalog> {
  const store = await environment.store();
  const opened = await tryKeys(environment, store, clusterKey);
  const looked = isEnclaveManagerError(opened) ? opened : await see(environment, { store, clusterKey }, opened, read);
  const seen = isEnclaveManagerError(looked) ? undefined : looked;
  const keys = isEnclaveManagerError(looked) ? looked : opened;
  if (isEnclaveManagerError(keys))
    environment.output.warn(`whether anything below is authentic is ${unknownBecause(keys)}. ${keys.hint}`);
  const catalog = seen?.catalog ?? (await read(store, undefined));
  for (const { path, reason } of catalog.rejected.slice(0, maxWarnings))
    environment.output.warn(`${path} is no backup of this cluster: ${reason}`);
  const more = catalog.rejected.length - maxWarnings;
  if (more > 0) environment.output.warn(`${more} more objects are no backup of this cluster`);
  const areHidden = seen !== undefined && (await warnOfHidden(environment, store, seen));
  return { store, keys, catalog, isDoubtful: seen === undefined || areHidden || catalog.rejected.length > 0 };
}

/** Only all of it together tells that there are newer keys. */
async function see(
  environment: Environment,
  { store, clusterKey }: { readonly store: ObjectStore; readonly clusterKey: string | undefined },
  keyring: OpenedKeyring,
  read: (store: ObjectStore, keyring: OpenedKeyring) => Promise<Catalog>,
): Promise<SeenCatalog<Catalog> | EnclaveManagerError> {
  const { seeCatalog } = await import('#operations/see-catalog.ts');
  try {
    const localState = environment.localState();
    return await seeCatalog({ store, keyring, localState }, () => read(store, keyring));
  } catch (error) {
    if (!isEnclaveManagerError(error, 'forged') || clusterKey !== undefined) throw error;
    return error;
  }
}

/** What was deleted is not in the list: only this host's memory knows of it. */
async function warnOfHidden(
  environment: Environment,
  store: ObjectStore,
  { catalog: { highestSequence: newest }, existed }: SeenCatalog<Catalog>,
): Promise<boolean> {
  const { describeHidden } = await import('#operations/hidden-backups.ts');
  const hidden = describeHidden({ where: store.location, newest, existed });
  if (hidden !== undefined) environment.output.warn(hidden);
  return hidden !== undefined;
}

/** Nothing is taken for authentic that a restore would refuse for its keys; a key that a person named has to be that one. */
async function tryKeys(
  environment: Environment,
  store: ObjectStore,
  clusterKey: string | undefined,
): Promise<OpenedKeyring | EnclaveManagerError> {
  const { requireProvedKey } = await import('#operations/proved-key.ts');
  const state = await environment.localState().read();
  const opened = await openKeys(environment, store, clusterKey);
  try {
    if (!isEnclaveManagerError(opened)) requireProvedKey(opened, state, store.location, clusterKey);
    return opened;
  } catch (error) {
    if (!isEnclaveManagerError(error) || clusterKey !== undefined) throw error;
    return error;
  }
}

async function openKeys(
  environment: Environment,
  store: ObjectStore,
  clusterKey: string | undefined,
): Promise<OpenedKeyring | EnclaveManagerError> {
  const { openRepository } = await import('#operations/open-repository.ts');
  try {
    return (await openRepository(store, await environment.sealing(), { clusterKey })).keyring;
  } catch (error) {
    if (!isEnclaveManagerError(error, 'no-key', 'sealing-unavailable')) throw error;
    return error;
  }
}

export const unknownOf = ({ keys }: OpenedCatalog): UnknownCause | null =>
  isEnclaveManagerError(keys) ? causeOf(keys) : null;

/** The keys of this host; throws why it has none that are proved. */
export function requireKeyring({ keys }: OpenedCatalog): OpenedKeyring {
  if (isEnclaveManagerError(keys)) throw keys;
  return keys;
}

/** The same for who reads the backups itself. */
export async function openProvedKeys(environment: Environment, clusterKey: string | undefined): Promise<Repository> {
  const store = await environment.store();
  const keyring = await tryKeys(environment, store, clusterKey);
  if (isEnclaveManagerError(keyring)) throw keyring;
  return { store, keyring };
}

/** Of the commands that read backups without a database. */
export const clusterKeyOption = {
  flag: '--cluster-key <fingerprint>',
  help: 'the key of the cluster, from a recovery line, where this host has not seen it',
} as const;

/** What a person typed as ID. */
export const parseBackupChoice = (text: string | undefined): BackupId | 'latest' =>
  text === undefined || text === 'latest' ? 'latest' : parseBackupId(text);

export const backupArgument = { name: 'ID', help: 'a backup, as backup list shows it, or latest' } as const;
