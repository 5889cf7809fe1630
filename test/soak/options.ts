import { parseArgs } from 'node:util';
import type { Tally } from './tally.ts';

export interface SoakOptions {
  readonly seed: string;
  readonly minutes: number;
  /** Ends after so many operations, whatever the time. */
  readonly operations: number;
  /** Operations of one cluster's life; then everything is restored and compared, and another cluster begins. */
  readonly operationsPerRound: number;
  /** Ends when this holds of what was done. */
  readonly isEnough: (tally: Tally) => boolean;
  /** Plays this round alone. */
  readonly round: number | undefined;
  /** Plays a round up to this operation, included. */
  readonly until: number;
  /** Leaves data and journal even where nothing was found. */
  readonly keep: boolean;
  /** Where data and journal go; a new temporary directory unless given. */
  readonly directory: string | undefined;
}

const usage = `npm run soak -- [--seed TEXT] [--minutes M] [--operations K] [--operations-per-round K]
                [--round R] [--until STEP] [--directory D] [--keep]`;

export function parseOptions(args: readonly string[], newSeed: () => string): SoakOptions {
  const text = { type: 'string' } as const;
  const { values } = parseArgs({
    args: [...args],
    options: {
      seed: text,
      minutes: text,
      operations: text,
      'operations-per-round': text,
      round: text,
      until: text,
      directory: text,
      keep: { type: 'boolean' },
    },
  });
  return {
    seed: values.seed ?? newSeed(),
    minutes: number('minutes', values.minutes) ?? 10,
    operations: number('operations', values.operations) ?? Infinity,
    operationsPerRound: number('operations-per-round', values['operations-per-round']) ?? 60,
    isEnough: () => false,
    round: number('round', values.round),
    until: number('until', values.until) ?? Infinity,
    directory: values.directory,
    keep: values.keep ?? false,
  };
}

function number(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (!(value > 0)) throw new RangeError(`--${name} wants a number above 0, not "${text}"\n${usage}`);
  return value;
}
