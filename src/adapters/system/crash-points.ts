import { appendFileSync } from 'node:fs';
import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { crashPoints, type CrashPoint } from '#model/crash-point.ts';
import type { CrashPoints } from '#ports/crash-points.ts';

export interface CrashPointOptions {
  /** `name`, or `name#k` for the k-th time it is reached: there the process kills itself (SIGKILL). */
  readonly killAt?: string | undefined;
  /** The same for SIGSTOP: the process stands still until somebody sends it SIGCONT. */
  readonly stopAt?: string | undefined;
  /** Each reached point's name is appended here once, a line each. */
  readonly reachedFile?: string | undefined;
}

/** Crash points of production: nothing happens. */
export const noCrashPoints: CrashPoints = { reach: () => undefined };

export function openCrashPoints({ killAt, stopAt, reachedFile }: CrashPointOptions): CrashPoints {
  if (killAt === undefined && stopAt === undefined && reachedFile === undefined) return noCrashPoints;
  const targets = [
    ...(killAt === undefined ? [] : [{ ...parseTarget(killAt), signal: 'SIGKILL' as const }]),
    ...(stopAt === undefined ? [] : [{ ...parseTarget(stopAt), signal: 'SIGSTOP' as const }]),
  ];
  const reached = new Map<CrashPoint, number>();
  return {
    reach: (point) => {
      const times = (reached.get(point) ?? 0) + 1;
      reached.set(point, times);
      // Written at once: the process may have no later.
      if (times === 1 && reachedFile !== undefined) appendFileSync(reachedFile, `${point}\n`);
      for (const target of targets) {
        if (target.point === point && target.times === times) process.kill(process.pid, target.signal);
      }
    },
  };
}

function parseTarget(text: string): { point: CrashPoint; times: number } {
  const [name = '', count = '1'] = text.split('#');
  const point = crashPoints.find((each) => each === name);
  const times = Number(count);
  if (point === undefined || !Number.isSafeInteger(times) || times < 1) {
    throw new EnclaveManagerError('configuration', `"${text.slice(0, 80)}" is not a crash point`, {
      hint: `A crash point is one of ${crashPoints.join(', ')}; #2 after it means the second time.`,
    });
  }
  return { point, times };
}
