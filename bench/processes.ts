import { readdirSync, readFileSync } from 'node:fs';

/** A tick of proc(5) is a hundredth of a second on every Linux that Node runs on. */
const msPerTick = 10;

interface ProcessStat {
  readonly pid: number;
  readonly name: string;
  readonly parent: number;
  /** User and system time of the process itself. */
  readonly ownMs: number;
  /** The same of the children that it has waited for. */
  readonly reapedMs: number;
}

function statOf(pid: number | 'self'): ProcessStat | undefined {
  const text = readOrUndefined(`/proc/${pid}/stat`);
  if (text === undefined) return undefined;
  // The name is in parentheses and may hold anything.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const number = (index: number): number => Number(fields[index - 3]);
  return {
    pid: Number.parseInt(text, 10),
    name: text.slice(text.indexOf('(') + 1, text.lastIndexOf(')')),
    parent: number(4),
    ownMs: (number(14) + number(15)) * msPerTick,
    reapedMs: (number(16) + number(17)) * msPerTick,
  };
}

/** CPU of all children that this process has waited for, theirs included. */
export const reapedCpuMs = (): number => statOf('self')?.reapedMs ?? 0;

/** CPU of a running process with what it has waited for; 0 when it is gone. */
export function cpuMs(pid: number): number {
  const stat = statOf(pid);
  return stat === undefined ? 0 : stat.ownMs + stat.reapedMs;
}

/** CPU of a process that starts one for each session, as a postmaster does: those that run and those that have ended. */
export function familyCpuMs(pid: number): number {
  for (let attempt = 0; ; attempt += 1) {
    const before = cpuMs(pid);
    const children = childrenOf(pid).reduce((sum, child) => sum + child.ownMs + child.reapedMs, 0);
    // One that ends in between would be counted twice, or not at all.
    if (cpuMs(pid) === before || attempt === 10) return before + children;
  }
}

/** CPU of the children of this process that have one of these names. */
export function childrenCpuMs(names: readonly string[]): number {
  if (names.length === 0) return 0;
  return childrenOf(process.pid)
    .filter(({ name }) => names.includes(name))
    .reduce((sum, { ownMs }) => sum + ownMs, 0);
}

function childrenOf(parent: number): ProcessStat[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((name) => statOf(Number(name)))
    .filter((stat) => stat !== undefined)
    .filter((stat) => stat.parent === parent);
}

/** The most memory that a process ever had resident; 0 when it is gone. */
export function peakBytes(pid: number): number {
  const kilobytes = /^VmHWM:\s*(\d+) kB/m.exec(readOrUndefined(`/proc/${pid}/status`) ?? '')?.[1];
  return Number(kilobytes ?? 0) * 1024;
}

function readOrUndefined(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
