import { dirname, join } from 'node:path';

import { isObjectKey } from '#ports/object-key.ts';
import type { StoredObject } from '#ports/object-store.ts';

import { failureCode, fileFailure, noDirectoryAt } from './failures.ts';
import type { Entry, FileSystem } from './file-system.ts';

/** Entries looked at together: bounds open calls, not the length of the listing. */
const pageSize = 64;

/**
 * Objects below `root` whose key begins with `prefix`, in key order. One directory is in memory at a time.
 * What is neither a regular file nor a directory, or has a name that no key has, is not an object and is left out.
 */
export async function* listObjects(files: FileSystem, root: string, prefix: string): AsyncGenerator<StoredObject> {
  const directory = prefix.slice(0, prefix.lastIndexOf('/') + 1);
  if (await leadsOnlyThroughDirectories(files, root, directory)) yield* listDirectory(files, root, directory, prefix);
}

async function* listDirectory(
  files: FileSystem,
  root: string,
  directory: string,
  prefix: string,
): AsyncGenerator<StoredObject> {
  const names = (await present(root, 'list', join(root, directory), () => files.names(join(root, directory)))) ?? [];
  const keys = names.map((name) => directory + name).filter((key) => key.startsWith(prefix) && isObjectKey(key));
  const entries: { key: string; entry: Entry }[] = [];
  for (let begin = 0; begin < keys.length; begin += pageSize) {
    const page = keys.slice(begin, begin + pageSize).map(async (key) => {
      const entry = await present(root, 'look at', join(root, key), () => files.entry(join(root, key)));
      return entry && { key: entry.kind === 'directory' ? `${key}/` : key, entry };
    });
    entries.push(...(await Promise.all(page)).filter((found) => found !== undefined));
  }
  // A directory sorts as its keys do, with the slash: `a.b` comes before `a/b`.
  for (const { key, entry } of entries.toSorted((one, other) => (one.key < other.key ? -1 : 1))) {
    if (entry.kind === 'directory') yield* listDirectory(files, root, key, prefix);
    const { kind, ...facts } = entry;
    if (kind === 'file') yield { key, ...facts };
  }
}

async function leadsOnlyThroughDirectories(files: FileSystem, root: string, directory: string): Promise<boolean> {
  let path = root;
  for (const segment of directory.split('/').slice(0, -1)) {
    path = join(path, segment);
    const entry = await present(root, 'look at', path, () => files.entry(path));
    if (entry?.kind !== 'directory') return false;
  }
  return true;
}

/** `undefined` for what is not there, or went away since it was seen. */
async function present<T>(root: string, action: string, path: string, work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    const code = failureCode(error);
    if (code === 'ENOTDIR' && [path, dirname(path)].includes(root)) throw noDirectoryAt(root, error);
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw fileFailure(action, path, error);
  }
}
