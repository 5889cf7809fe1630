import type { CrashPoint } from '#model/crash-point.ts';

/** Marks a step at which the tests kill the process. In production it does nothing. */
export interface CrashPoints {
  reach(point: CrashPoint): void;
}
