import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { isAlive } from '#adapters/embedded-postgresql/processes.ts';

/** Every living process that has to do with something below the directory, ourselves not counted. */
export function processesUsing(directory: string): { readonly pid: number; readonly command: string }[] {
  const ids = readdirSync('/proc').map(Number).filter(Number.isInteger);
  return ids
    .filter((pid) => pid !== process.pid && isAlive(pid) && factsOf(pid).includes(directory))
    .map((pid) => ({ pid, command: read(() => readFileSync(`/proc/${pid}/cmdline`, 'utf8')).replaceAll('\0', ' ') }));
}

/** PostgreSQL's processes hide their arguments but work in their cluster; ours are told the directory by variable. */
const factsOf = (pid: number): string =>
  [
    read(() => readFileSync(`/proc/${pid}/environ`, 'utf8')),
    read(() => readFileSync(`/proc/${pid}/cmdline`, 'utf8')),
    read(() => readlinkSync(`/proc/${pid}/cwd`)),
  ].join('\n');

/** It may end while we look. */
function read(look: () => string): string {
  try {
    return look();
  } catch {
    return '';
  }
}
