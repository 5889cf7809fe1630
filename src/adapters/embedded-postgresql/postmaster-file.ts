import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { errnoName } from '#errors/file-system-error.ts';

/** `postmaster.pid`, as PostgreSQL's `src/include/utils/pidfile.h` lays it out: a line each. */
export interface PostmasterFile {
  readonly pid: number;
  readonly port: number;
  readonly socketDirectory: string;
  /** `starting`, `stopping`, `ready`, `standby`. */
  readonly status: string;
}

export function postmasterPath(cluster: string): string {
  return join(cluster, 'postmaster.pid');
}

/** `undefined` where there is none, or one that is only half written. */
export function readPostmasterFile(cluster: string): PostmasterFile | undefined {
  let lines: string[];
  try {
    lines = readFileSync(postmasterPath(cluster), 'utf8').split('\n');
  } catch (error) {
    if (errnoName(error) === 'ENOENT') return undefined;
    throw error;
  }
  const pid = Number(lines[0]);
  if (!Number.isSafeInteger(pid) || pid <= 1) return undefined;
  return { pid, port: Number(lines[3]), socketDirectory: lines[4] ?? '', status: (lines[7] ?? '').trim() };
}
