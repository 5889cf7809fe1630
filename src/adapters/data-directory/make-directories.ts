import { closeSync, existsSync, fsyncSync, mkdirSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import { errnoName } from '#errors/file-system-error.ts';

/**
 * Makes a directory with those above it that are missing, each there for good. Not `recursive`: where the kernel makes no directories, as below
 * /proc, it answers ENOENT although the one above is there, and Node then tries that one and this one again without end.
 */
export function makeDirectories(path: string, mode: number): void {
  const isMissing = makeDirectory(path, mode);
  if (isMissing === undefined) return;
  if (existsSync(dirname(path))) throw isMissing;
  makeDirectories(dirname(path), mode);
  const stillMissing = makeDirectory(path, mode);
  if (stillMissing !== undefined) throw stillMissing;
}

/** The error where something above it is missing. What is there already may be anything; using it says so. */
function makeDirectory(path: string, mode: number): Error | undefined {
  try {
    mkdirSync(path, { mode });
    syncAbove(path, 1);
  } catch (error) {
    if (errnoName(error) === 'EEXIST') return undefined;
    if (errnoName(error) !== 'ENOENT' || !(error instanceof Error)) throw error;
    return error;
  }
  return undefined;
}

/** Makes the name of a directory survive a power failure, and those of `levels - 1` above it. */
export function syncAbove(path: string, levels: number): void {
  if (levels === 0) return;
  syncIfAble(dirname(path));
  syncAbove(dirname(path), levels - 1);
}

/** Whoever prepared a directory for us need not let us read the one above it, and not every file system flushes directories. */
function syncIfAble(path: string): void {
  try {
    const directory = openSync(path, 'r');
    try {
      fsyncSync(directory);
    } finally {
      closeSync(directory);
    }
  } catch (error) {
    if (!['EACCES', 'EPERM', 'EROFS', 'EINVAL'].includes(errnoName(error) ?? '')) throw error;
  }
}
