import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { chunkObjectPath, manifestPath } from '#format/layout.ts';
import type { Manifest, ObjectReference } from '#format/manifest.ts';
import { missingObjects } from '#model/prune-rules.ts';
import type { ObjectStore } from '#ports/object-store.ts';
import type { OperationContext } from './context.ts';
import { presenceProblem, readObjectSizes } from './known-objects.ts';

/** Every object that the backup will name is there, with its size. */
export async function confirmObjects(
  context: OperationContext,
  store: ObjectStore,
  objects: ReadonlyMap<string, ObjectReference>,
): Promise<void> {
  context.progress.phase('confirming objects');
  const sizes = await readObjectSizes(store);
  for (const object of objects.values()) {
    // A listing may be older than the objects that were stored last.
    const sizeBytes = sizes.get(object.name) ?? (await store.head(chunkObjectPath(object.name)))?.sizeBytes;
    const problem = presenceProblem(sizeBytes, object);
    if (problem !== undefined) {
      throw new EnclaveManagerError('damaged', `chunk object ${object.name} ${problem}; nothing was listed`);
    }
  }
  context.crashPoints.reach('backup.confirmed');
}

/** The last line of defence: a manifest that came later than prune waits for must not stay listed. */
export async function confirmListed(context: OperationContext, store: ObjectStore, manifest: Manifest): Promise<void> {
  const sizes = await readObjectSizes(store);
  const named = manifest.objects.map(({ name }) => name);
  const missing = await firstGone(
    store,
    missingObjects(named, (name) => sizes.has(name)),
  );
  context.crashPoints.reach('backup.confirmed-again');
  if (missing === undefined) return;
  await store.delete(manifestPath(manifest.summary.id));
  throw new EnclaveManagerError(
    'damaged',
    `chunk object ${missing} went away while backup ${manifest.summary.id} was written; the backup was taken off the list`,
    { hint: 'Run the command again. If it happens again, find out what deletes objects in the repository.' },
  );
}

/** A listing may be older than what it lists; the object itself is not. */
async function firstGone(store: ObjectStore, unlisted: readonly string[]): Promise<string | undefined> {
  for (const name of unlisted) if ((await store.head(chunkObjectPath(name))) === undefined) return name;
  return undefined;
}
