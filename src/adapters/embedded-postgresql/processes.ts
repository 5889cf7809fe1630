import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { basename } from 'node:path';
import { errnoName } from '#errors/file-system-error.ts';

/** Whether the process runs. A zombie, which a container's first process may never reap, does not. */
export function isAlive(pid: number): boolean {
  if (processState(pid) === 'Z') return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return errnoName(error) === 'EPERM';
  }
}

/** Whether it is a PostgreSQL server on `cluster`. Process ids are reused, so the number alone says nothing. */
export function isPostmasterOf(pid: number, cluster: string): boolean {
  const [program = '', ...parameters] = commandLine(pid);
  return basename(program) === 'postgres' && parameters.includes(cluster);
}

/** Processes of PostgreSQL that work in `cluster`, such as backends that outlived their postmaster. Linux only. */
export function workersIn(cluster: string): number[] {
  return listProcesses().filter((pid) => {
    try {
      return readlinkSync(`/proc/${pid}/cwd`) === cluster && commandLine(pid)[0]?.includes('postgres') && isAlive(pid);
    } catch {
      return false;
    }
  });
}

export function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    // Ended in the meantime.
    if (errnoName(error) !== 'ESRCH') throw error;
  }
}

function listProcesses(): number[] {
  try {
    return readdirSync('/proc').map(Number).filter(Number.isInteger);
  } catch {
    return [];
  }
}

/** The letter of proc(5), `/proc/PID/stat`: it follows the program's name, which may hold anything, in parentheses. */
function processState(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat[stat.lastIndexOf(')') + 2];
  } catch {
    return undefined;
  }
}

function commandLine(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
  } catch {
    if (process.platform === 'linux') return [];
    return spawnSync('ps', ['-o', 'command=', '-p', String(pid)], { encoding: 'utf8' })
      .stdout.trim()
      .split(' ');
  }
}
