import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { keyringPrefix } from '#format/layout.ts';
import type { KeyringDocument, OpenedKeyring } from '#keys/keyring.ts';
import { keyringPath, parseKeyringPath } from '#keys/keyring-paths.ts';
import { documentLimits } from '#keys/signed-document.ts';
import { replacesKeysOf } from '#keys/succession.ts';
import type { Database } from '#ports/database.ts';
import type { ObjectStore } from '#ports/object-store.ts';
import { readKeyringDocuments } from '#store/keyring-documents.ts';
import { damagedAsAbsent } from './damaged-as-absent.ts';
import type { KeyFence } from './key-fence.ts';
import { listBounded } from './list-bounded.ts';

/**
 * Stores documents one after the other and reads all of them back; `false` when something else lies under one of the
 * names, which a reply that was lost does not make it.
 */
export async function putAndReadBack(
  store: ObjectStore,
  documents: readonly KeyringDocument[],
  fence: Pick<KeyFence, 'check'>,
): Promise<boolean> {
  for (const { path, bytes } of documents) {
    await fence.check();
    if ((await store.put(path, bytes)) === 'exists' && !(await holds(store, path, bytes))) return false;
  }
  for (const { path, bytes } of documents) if (!(await holds(store, path, bytes))) return false;
  return true;
}

async function holds(store: ObjectStore, path: string, bytes: Buffer): Promise<boolean> {
  const stored = await store.get(path, { maxBytes: documentLimits.epoch });
  return stored?.equals(bytes) === true;
}

/** Throws `damaged` unless repository and database hold exactly these documents. */
export async function confirmInBoth(
  store: ObjectStore | undefined,
  database: Database,
  documents: readonly KeyringDocument[],
): Promise<void> {
  const rows = new Map((await readKeyringDocuments(database.queries)).map(({ path, bytes }) => [path, bytes]));
  for (const { path, bytes } of documents) {
    if (rows.get(path)?.equals(bytes) !== true) throw notThere(path, `database "${database.name}"`);
    if (store !== undefined && !(await holds(store, path, bytes))) throw notThere(path, store.location);
  }
}

function notThere(path: string, where: string): EnclaveManagerError {
  return new EnclaveManagerError('damaged', `${path} is missing or something else in ${where}`, {
    hint: 'Somebody else writes there: move away what lies under that name, keep it as evidence, and run the command again.',
  });
}

const abandoned = Buffer.from('{"abandoned":true}');

/** Above the newest epoch; a cluster leaves one for each change of keys that was interrupted since the last one. */
const maxBegun = 1000;

/**
 * Closes the epochs at which somebody began new keys and did not commit them: who was stopped just before, and comes back,
 * then finds the place taken. Call it under a lease that keeps everybody else from changing the keys, before something is
 * signed that such a late commit would not know of. Where the commit came first: `lease-held`. Resolves with every key
 * below `keyring/epochs/`.
 */
export async function closeBegunEpochs(
  store: ObjectStore,
  keyring: OpenedKeyring,
  fence: Pick<KeyFence, 'check'>,
): Promise<readonly string[]> {
  const stored: string[] = [];
  for await (const { key } of listBounded(store, `${keyringPrefix}epochs/`)) stored.push(key);
  const begun = epochsOf(stored, ({ type }) => type === 'slot');
  const ended = epochsOf(stored, ({ type }) => type === 'epoch');
  const later = [...new Set([...begun, ...ended])].filter((epoch) => epoch > keyring.newestEpoch);
  if (later.length > maxBegun) throw tooManyBegun(store, later.length);
  for (const epoch of later) {
    if (ended.has(epoch)) continue;
    await fence.check();
    await store.put(keyringPath({ type: 'epoch', epoch }), abandoned);
  }
  for (const epoch of later) await refuseSuccessor(store, keyring, epoch);
  return stored;
}

function tooManyBegun({ location }: ObjectStore, count: number): EnclaveManagerError {
  return new EnclaveManagerError(
    'damaged',
    `${location} has ${count} key epochs that were begun and never came to be`,
    {
      hint: 'No cluster leaves so many: move away what was put below keyring/epochs/, keep it as evidence, and run the command again.',
    },
  );
}

/** The lowest number above the newest epoch under which nothing is stored; closes what others began. Throws as that does. */
export async function freeEpoch(
  store: ObjectStore | undefined,
  database: Database,
  keyring: OpenedKeyring,
  fence: KeyFence,
): Promise<number> {
  const stored = store === undefined ? [] : await closeBegunEpochs(store, keyring, fence);
  const rows = (await readKeyringDocuments(database.queries)).map(({ path }) => path);
  const taken = epochsOf([...stored, ...rows], () => true);
  let epoch = keyring.newestEpoch + 1;
  while (taken.has(epoch)) epoch += 1;
  return epoch;
}

async function refuseSuccessor(store: ObjectStore, keyring: OpenedKeyring, epoch: number): Promise<void> {
  const path = keyringPath({ type: 'epoch', epoch });
  const bytes = await store.get(path, { maxBytes: documentLimits.epoch }).catch(damagedAsAbsent);
  if (bytes === undefined || !replacesKeysOf(keyring, { path, bytes })) return;
  throw new EnclaveManagerError('lease-held', `somebody else committed new keys at the same time, in ${path}`, {
    hint: 'Run the command again: it goes on with those keys.',
  });
}

function epochsOf(
  paths: readonly string[],
  counts: (place: { readonly type: string }) => boolean,
): ReadonlySet<number> {
  return new Set(
    paths.flatMap((path) => {
      const place = parseKeyringPath(path);
      return place !== undefined && 'epoch' in place && counts(place) ? [place.epoch] : [];
    }),
  );
}
