import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isAlive, isPostmasterOf, signal, workersIn } from './processes.ts';
import { postmasterPath, readPostmasterFile } from './postmaster-file.ts';

const pollMs = 20;

/** What is tried one after the other on a server that is to end; each with the time it is given. */
const stopSignals: readonly (readonly [NodeJS.Signals, number])[] = [
  ['SIGINT', 20_000],
  ['SIGQUIT', 5_000],
  ['SIGKILL', 5_000],
];

/**
 * Ends what an earlier process of ours left running on `cluster`, and removes a pid file that would keep PostgreSQL from
 * starting. Only for the holder of the directory's lock: to nobody else is a running server an orphan.
 */
export async function stopOrphan(cluster: string): Promise<void> {
  const left = readPostmasterFile(cluster);
  if (left !== undefined && isAlive(left.pid) && isPostmasterOf(left.pid, cluster)) await stopProcess(left.pid);
  await endWorkers(cluster);
  if (left === undefined) return;
  // PostgreSQL believes a pid file whose process id answers: one that a zombie still has, or an unrelated process by now.
  rmSync(postmasterPath(cluster), { force: true });
  if (left.socketDirectory !== '') rmSync(join(left.socketDirectory, `.s.PGSQL.${left.port}.lock`), { force: true });
}

export async function stopProcess(pid: number): Promise<void> {
  for (const [name, patienceMs] of stopSignals) {
    signal(pid, name);
    if (await becomesTrue(() => !isAlive(pid), patienceMs)) return;
  }
}

/** Backends whose postmaster was killed end on their own, at the latest after their statement; until then none may start. */
async function endWorkers(cluster: string): Promise<void> {
  if (await becomesTrue(() => workersIn(cluster).length === 0, 3_000)) return;
  for (const pid of workersIn(cluster)) signal(pid, 'SIGKILL');
  await becomesTrue(() => workersIn(cluster).length === 0, 5_000);
}

async function becomesTrue(condition: () => boolean, patienceMs: number): Promise<boolean> {
  for (let waitedMs = 0; waitedMs < patienceMs; waitedMs += pollMs) {
    if (condition()) return true;
    await sleep(pollMs);
  }
  return condition();
}
