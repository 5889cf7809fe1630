import type { AskedFreshness } from '#operations/hidden-backups.ts';
import type { CommandOption, Input } from './command.ts';
import { parseWholeNumber } from './numbers.ts';

/** Of the commands that stop where backups are hidden. */
export const freshnessOptions: readonly CommandOption[] = [
  { flag: '--at-least-sequence <number>', help: 'refuse when the newest backup has a lower sequence' },
  {
    flag: '--accept-missing-after <number>',
    help: 'lose every backup beyond this sequence, that of the newest one, which this host has seen and finds no more',
  },
];

export function readFreshness({ options }: Input): AskedFreshness {
  const read = (flag: string): number | undefined => {
    const value = options[flag];
    return typeof value === 'string' ? parseWholeNumber(`--${flag}`, value) : undefined;
  };
  const [atLeastSequence, missingAfter] = [read('at-least-sequence'), read('accept-missing-after')];
  return {
    ...(atLeastSequence === undefined ? {} : { atLeastSequence }),
    ...(missingAfter === undefined ? {} : { missingAfter }),
  };
}
