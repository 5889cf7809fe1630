import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { chunkObjectPath, markerPath } from '#format/layout.ts';
import type { OpenedKeyring } from '#keys/keyring.ts';
import type { ObjectStore } from '#ports/object-store.ts';
import type { OperationContext } from './context.ts';
import type { KnownObjects } from './known-objects.ts';
import type { StreamedTables } from './stream-tables.ts';

/** How often the rows are read when objects that lie there cannot be used again. */
export const maxPasses = 3;

const atOnce = 64;

/**
 * Retains the objects that a backup uses again, and the keyring: where objects are locked, a backup is protected no longer
 * than the first of them. Resolves with the names of those that the store does not retain.
 */
export async function retainReused(
  context: OperationContext,
  store: ObjectStore,
  keyring: OpenedKeyring,
  { objects, stored }: StreamedTables,
): Promise<string[]> {
  context.progress.phase('retaining objects');
  const fresh = new Set(stored.filter(({ reused }) => !reused).map(({ object }) => object.name));
  const names = [...objects.keys()].filter((name) => !fresh.has(name));
  const released: string[] = [];
  for (let begin = 0; begin < names.length; begin += atOnce) {
    context.signal.throwIfAborted();
    const batch = names.slice(begin, begin + atOnce);
    const retained = await Promise.all(batch.map((name) => store.retain(chunkObjectPath(name))));
    released.push(...batch.filter((_, index) => retained[index] === false));
  }
  // The manifest carries copies of these: one that cannot be retained costs nothing.
  for (const { path } of keyring.documents) await store.retain(path);
  await store.retain(markerPath);
  return released;
}

export function withoutObjects(known: KnownObjects, names: readonly string[]): KnownObjects {
  const released = new Set(names);
  const lost = [...known.byId].filter(([, { name }]) => released.has(name));
  return {
    byId: new Map([...known.byId].filter(([, { name }]) => !released.has(name))),
    unusable: new Map([...known.unusable, ...lost.map(([id, { name }]) => [id, `${name} is not retained`] as const)]),
    strays: known.strays.filter((name) => !released.has(name)),
  };
}

export const notRetained = (store: ObjectStore, [first = '']: readonly string[]): EnclaveManagerError =>
  new EnclaveManagerError(
    'repository-unreachable',
    `${store.location} does not extend the lock of ${first}, nor of what was stored instead; nothing was listed`,
    { hint: 'Give the access key the right to put the retention of objects: repository check shows what it may do.' },
  );
