import { constants } from 'node:fs';
import { open, rename } from 'node:fs/promises';
import { join } from 'node:path';
import type { CatalogCache } from '#ports/catalog-cache.ts';

/** More than this is not kept. */
const maxCacheBytes = 128 * 1024 * 1024;
const readFlags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
const writeFlags = constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | constants.O_NOFOLLOW;

/**
 * One file beside the node's state, `state/catalog`, mode 0600; nothing is made where there is no state. Nothing is flushed
 * and nobody waits for another: what a power failure, or two writers at once, leave is told from a whole one by whoever reads.
 */
export function openCatalogCache(dataDirectory: string): CatalogCache {
  const path = join(dataDirectory, 'state', 'catalog');
  return {
    read: () => readWhole(path).catch(() => undefined),
    replace: (bytes) => replaceWhole(path, bytes).catch(() => undefined),
  };
}

async function readWhole(path: string): Promise<Buffer | undefined> {
  const file = await open(path, readFlags);
  try {
    const stats = await file.stat();
    return stats.isFile() && stats.size <= maxCacheBytes ? await file.readFile() : undefined;
  } finally {
    await file.close();
  }
}

async function replaceWhole(path: string, bytes: Uint8Array): Promise<void> {
  if (bytes.length > maxCacheBytes) return;
  const next = `${path}.new`;
  const file = await open(next, writeFlags, 0o600);
  try {
    await file.writeFile(bytes);
  } finally {
    await file.close();
  }
  await rename(next, path);
}
