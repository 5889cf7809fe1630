import { type Bench, runJob } from './bench.ts';
import type { Measurement } from './measure.ts';
import { rotated } from './statistics.ts';
import type { Step, StepName } from './steps.ts';

export type Rounds = ReadonlyMap<StepName, readonly Measurement[]>;

/** Every step once a round, so that what disturbs the machine for a while disturbs all of them. */
export async function runRounds(bench: Bench, steps: readonly Step[], count: number): Promise<Rounds> {
  const results = new Map<StepName, Measurement[]>(steps.map(({ name }) => [name, []]));
  for (let round = 0; round < count; round += 1) {
    for (const step of inOrder(steps, round)) {
      await step.prepare?.();
      const measured = await runJob(bench, await step.job());
      await step.clean?.();
      results.get(step.name)!.push(measured);
      bench.say(`round ${round + 1} of ${count}: ${step.name}: ${describe(measured)}`);
    }
  }
  return results;
}

/** What is measured on top of another step's outcome stays behind it. */
function inOrder(steps: readonly Step[], round: number): Step[] {
  const groups = [...Map.groupBy(steps, ({ name }) => name.split(',')[0]!).values()];
  return rotated(groups, round).flat();
}

function describe({ wallMs, cpuMs, databaseCpuMs, peakBytes }: Measurement): string {
  const seconds = (ms: number): string => `${(ms / 1000).toFixed(2)} s`;
  const cpu = `CPU ${seconds(cpuMs)}, of the database ${seconds(databaseCpuMs)}`;
  return `${seconds(wallMs)}, ${cpu}, ${Math.round(peakBytes / 1e6)} MB`;
}
