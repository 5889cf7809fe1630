import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { isAlive, signal } from '#adapters/embedded-postgresql/processes.ts';
import { runJson, startCommand, type StartedCommand } from '../fixtures/command.ts';

/** A manager that is up. `child` is what was started: npm, or the manager itself. */
export interface Manager extends StartedCommand {
  readonly address: string;
  readonly screen: string;
  /** The process that owns the data directory. */
  readonly managerId: number;
  readonly postmasterId: number;
}

const programs = {
  'npm start': ['npm', 'start'],
  'enclave-manager.mjs serve': [process.execPath, 'bin/enclave-manager.mjs', 'serve'],
} as const;

export type Way = keyof typeof programs;

/** Begins to start a manager, in a process group of its own. */
export function beginStart(dataDirectory: string, way: Way = 'npm start', env: Record<string, string> = {}) {
  return startCommand([], { dataDirectory, env, program: programs[way], ownGroup: true });
}

export async function startManager(dataDirectory: string, way?: Way, env?: Record<string, string>): Promise<Manager> {
  const started = beginStart(dataDirectory, way, env);
  const { input, 1: address } = await started.saw(/it is up at (http:\S+)[^]*Stop with Ctrl-C/);
  const holder = JSON.parse(readFileSync(join(dataDirectory, 'state/owner.lock.holder'), 'utf8')) as { pid: number };
  const [postmaster] = readFileSync(join(dataDirectory, 'postgres/cluster/postmaster.pid'), 'utf8').split('\n');
  return { ...started, address: address!, screen: input, managerId: holder.pid, postmasterId: Number(postmaster) };
}

/** Kills whatever still uses the data directory; for the end of a test that may have failed. */
export function killAll(dataDirectory: string): void {
  for (const { pid } of processesOf(dataDirectory)) signal(pid, 'SIGKILL');
}

/** Every living process that has to do with the data directory: npm, shell, manager, PostgreSQL, commands. */
export function processesOf(dataDirectory: string): { readonly pid: number; readonly command: string }[] {
  const ids = readdirSync('/proc').map(Number).filter(Number.isInteger);
  return ids
    .filter((pid) => pid !== process.pid && isAlive(pid) && factsOf(pid).includes(dataDirectory))
    .map((pid) => ({ pid, command: read(pid, 'cmdline').replaceAll('\0', ' ') }));
}

/** PostgreSQL's processes hide their arguments but work in their cluster; the others are told the directory by variable. */
const factsOf = (pid: number): string => `${read(pid, 'cmdline')}\n${read(pid, 'environ')}\n${workingDirectory(pid)}`;

function read(pid: number, name: string): string {
  try {
    return readFileSync(`/proc/${pid}/${name}`, 'utf8');
  } catch {
    return '';
  }
}

function workingDirectory(pid: number): string {
  try {
    return readlinkSync(`/proc/${pid}/cwd`);
  } catch {
    return '';
  }
}

/** What must be the same after every start: the cluster, its key, and the backups there were. */
export interface State {
  readonly clusterId: string;
  readonly clusterKey: string;
  readonly backups: readonly string[];
}

export async function readState(dataDirectory: string): Promise<State> {
  const { clusterId, clusterKey } = (await runJson(['keys', 'status'], { dataDirectory })) as State;
  const backups = (await runJson(['backup', 'list'], { dataDirectory })) as { id: string }[];
  return { clusterId, clusterKey, backups: backups.map(({ id }) => id) };
}

/** The manager ends with the code, within the ten seconds that a person waits, and nothing of it is left. */
export async function expectEnd(manager: StartedCommand, dataDirectory: string, exitCode = 0): Promise<void> {
  const begunMs = performance.now();
  const ended = await manager.ended;
  expect(ended.exitCode, `${ended.signal} ${ended.stdout}${ended.stderr}`).toBe(exitCode);
  await expect.poll(() => processesOf(dataDirectory), { timeout: 5_000 }).toEqual([]);
  expect(performance.now() - begunMs).toBeLessThan(10_000);
}
