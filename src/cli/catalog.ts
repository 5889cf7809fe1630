import { isEnclaveManagerError } from '#errors/enclave-manager-error.ts';
import type { OpenedKeyring } from '#keys/keyring.ts';
import type { BackupId } from '#model/identifiers.ts';
import { parseBackupId } from '#model/identifiers.ts';
import { unknownBecause } from '#model/unknown.ts';
import type { Catalog } from '#operations/read-catalog.ts';
import type { ObjectStore } from '#ports/object-store.ts';
import type { Environment } from './environment.ts';

export interface OpenedCatalog {
  readonly store: ObjectStore;
  /** `undefined` on a host without a key: nothing is known to be authentic then. */
  readonly keyring: OpenedKeyring | undefined;
  readonly catalog: Catalog;
  /** Something lies where backups do and is not listed, or backups that this host has seen are missing. */
  readonly isDoubtful: boolean;
}

/** Somebody may have put thousands of objects there. */
const maxWarnings = 20;

/** The backups of the repository, read without any database, and without a key where this host has none. */
export async function openCatalog(environment: Environment): Promise<OpenedCatalog> {
  const { readCatalog } = await import('#operations/read-catalog.ts');
  return await openWith(environment, readCatalog);
}

/** The same to look at: what this host read before, and the store lists unchanged, is not read again. */
export async function lookAtCatalog(environment: Environment): Promise<OpenedCatalog> {
  const { recallCatalog } = await import('#operations/recall-catalog.ts');
  return await openWith(environment, (store, keyring) => recallCatalog(store, keyring, environment.catalogCache()));
}

async function openWith(
  environment: Environment,
  read: (store: ObjectStore, keyring: OpenedKeyring | undefined) => Promise<Catalog>,
): Promise<OpenedCatalog> {
  const store = await environment.store();
  const keyring = await tryKeyring(environment, store);
  const catalog = await read(store, keyring);
  for (const { path, reason } of catalog.rejected.slice(0, maxWarnings))
    environment.output.warn(`${path} is no backup of this cluster: ${reason}`);
  const more = catalog.rejected.length - maxWarnings;
  if (more > 0) environment.output.warn(`${more} more objects are no backup of this cluster`);
  const areHidden = keyring !== undefined && (await warnOfHidden(environment, store, keyring, catalog));
  return { store, keyring, catalog, isDoubtful: areHidden || catalog.rejected.length > 0 };
}

/** What was deleted is not in the list: only this host's memory knows of it. */
async function warnOfHidden(
  environment: Environment,
  store: ObjectStore,
  keyring: OpenedKeyring,
  { highestSequence: newest }: Catalog,
): Promise<boolean> {
  const { describeHidden } = await import('#operations/hidden-backups.ts');
  const { rememberedSequence } = await import('#operations/remember-sequence.ts');
  const existed = await rememberedSequence({ keyring, localState: environment.localState() });
  const hidden = describeHidden({ where: store.location, newest, existed });
  if (hidden !== undefined) environment.output.warn(hidden);
  return hidden !== undefined;
}

async function tryKeyring(environment: Environment, store: ObjectStore): Promise<OpenedKeyring | undefined> {
  const { openRepository } = await import('#operations/open-repository.ts');
  try {
    return (await openRepository(store, await environment.sealing())).keyring;
  } catch (error) {
    if (!isEnclaveManagerError(error, 'no-key') && !isEnclaveManagerError(error, 'sealing-unavailable')) throw error;
    environment.output.warn(`whether anything below is authentic is ${unknownBecause(error)}. ${error.hint}`);
    return undefined;
  }
}

/** What a person typed as ID. */
export const parseBackupChoice = (text: string | undefined): BackupId | 'latest' =>
  text === undefined || text === 'latest' ? 'latest' : parseBackupId(text);

export const backupArgument = { name: 'ID', help: 'a backup, as backup list shows it, or latest' } as const;
