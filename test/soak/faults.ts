import { crashPoints, type CrashPoint } from '#model/crash-point.ts';
import type { Chance } from '../../demo/contents/chance.ts';

/** What happens to a process while it works. */
export type Fault =
  | { readonly kind: 'none' }
  | { readonly kind: 'crash point'; readonly point: CrashPoint; readonly times: number }
  | { readonly kind: 'signal'; readonly signal: 'SIGKILL' | 'SIGTERM' | 'SIGINT'; readonly afterMs: number };

export const noFault: Fault = { kind: 'none' };

/** Starting the program alone takes this long, so that few kills come before it did anything. */
const startMs = 400;

/** `operations`: prefixes of the crash points that the command may come by. */
export function drawFault(chance: Chance, operations: readonly string[], longestMs = 4_000): Fault {
  const draw = chance.integer(1, 100);
  const points = crashPoints.filter((point) => operations.some((name) => point.startsWith(`${name}.`)));
  if (draw <= 22 && points.length > 0) {
    const point = chance.oneOf(points);
    return { kind: 'crash point', point, times: point.includes('chunk-') ? chance.integer(1, 4) : 1 };
  }
  const afterMs = chance.integer(startMs, longestMs);
  if (draw <= 36) return { kind: 'signal', signal: 'SIGKILL', afterMs };
  if (draw <= 44) return { kind: 'signal', signal: chance.oneOf(['SIGTERM', 'SIGINT'] as const), afterMs };
  return noFault;
}

const minuteMs = 60_000;
const dayMs = 1440 * minuteMs;

/** Mostly right; else wrong by minutes, a day or more than a year, either way. */
export function drawClockOffset(chance: Chance): number {
  if (chance.integer(1, 100) > 20) return 0;
  const size = chance.oneOf([7 * minuteMs, dayMs, 400 * dayMs]);
  return chance.oneOf([-1, 1]) * size;
}

export const describeFault = (fault: Fault): string => {
  switch (fault.kind) {
    case 'none':
      return 'none';
    case 'crash point':
      return `killed at ${fault.point}#${fault.times}`;
    case 'signal':
      return `${fault.signal} after ${fault.afterMs} ms`;
  }
};
