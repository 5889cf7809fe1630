import { randomUUID } from 'node:crypto';
import { open, readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

/**
 * Written beside under a name of its own, flushed, renamed, and the directory flushed: after a power failure the file is the
 * old one or the new one. Only for who keeps others from replacing the same file: what lies beside it was left by a process
 * that was killed, and is removed.
 */
export async function replaceDurably(path: string, text: string): Promise<void> {
  await removeLeftovers(path);
  const next = `${path}.${randomUUID()}${suffix}`;
  try {
    await writeNew(next, text);
    await rename(next, path);
  } catch (error) {
    await rm(next, { force: true }).catch(() => {});
    throw error;
  }
  await syncDirectory(dirname(path));
}

const suffix = '.new';

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

/** Follows no link and opens nothing that is there. */
async function writeNew(path: string, text: string): Promise<void> {
  const file = await open(path, 'wx', 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
}

async function removeLeftovers(path: string): Promise<void> {
  const isLeftover = (name: string): boolean => name.startsWith(`${basename(path)}.`) && name.endsWith(suffix);
  const names = await readdir(dirname(path));
  for (const name of names.filter(isLeftover)) await rm(join(dirname(path), name), { force: true });
}
