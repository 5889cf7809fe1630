import type { Measurement, Phase } from '../measure.ts';
import { spread } from '../statistics.ts';

const shortestMs = 20;

/** The phases of a step in their order, each with its medians; what takes no time is left out. */
export function profileOf(measured: readonly Measurement[]): Phase[] {
  const [first] = measured;
  if (first === undefined) return [];
  const phases = first.phases.map((_, index) => medianOf(measured.map((each) => each.phases[index]!).filter(Boolean)));
  const total = (pick: (phase: Phase) => number): number => phases.reduce((sum, phase) => sum + pick(phase), 0);
  const whole = {
    durationMs: spread(measured.map(({ wallMs }) => wallMs)).median,
    cpuMs: spread(measured.map(({ cpuMs }) => cpuMs)).median,
    databaseCpuMs: spread(measured.map(({ databaseCpuMs }) => databaseCpuMs)).median,
  };
  const rest: Phase = {
    name: 'starting, and what is between the phases',
    durationMs: Math.max(0, whole.durationMs - total((phase) => phase.durationMs)),
    cpuMs: Math.max(0, whole.cpuMs - total((phase) => phase.cpuMs)),
    databaseCpuMs: Math.max(0, whole.databaseCpuMs - total((phase) => phase.databaseCpuMs)),
    storeCpuMs: 0,
  };
  return [...phases, rest].filter(({ durationMs }) => durationMs >= shortestMs);
}

function medianOf(same: readonly Phase[]): Phase {
  const median = (pick: (phase: Phase) => number): number => spread(same.map(pick)).median;
  return {
    name: same[0]!.name,
    durationMs: median(({ durationMs }) => durationMs),
    cpuMs: median(({ cpuMs }) => cpuMs),
    databaseCpuMs: median(({ databaseCpuMs }) => databaseCpuMs),
    storeCpuMs: median(({ storeCpuMs }) => storeCpuMs),
  };
}
