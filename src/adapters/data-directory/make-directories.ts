import { existsSync, mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { errnoName } from '#errors/file-system-error.ts';

/**
 * Makes a directory with those above it that are missing. Not `recursive`: where the kernel makes no directories, as below
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
  } catch (error) {
    if (errnoName(error) === 'EEXIST') return undefined;
    if (errnoName(error) !== 'ENOENT' || !(error instanceof Error)) throw error;
    return error;
  }
  return undefined;
}
