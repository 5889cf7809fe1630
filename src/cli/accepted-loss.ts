import type { AcceptedLoss } from '#operations/hidden-backups.ts';
import type { CommandOption, Input } from './command.ts';
import { parseWholeNumber } from './numbers.ts';

/** Of the commands that go on without backups that are hidden. */
export const acceptedLossOption: CommandOption = {
  flag: '--at-least-sequence <number>',
  help: 'refuse when the newest backup has a lower sequence; lower than what this host has seen, it accepts that loss',
};

export function readAcceptedLoss({ options }: Input): AcceptedLoss {
  const sequence = options['at-least-sequence'];
  return typeof sequence === 'string' ? { atLeastSequence: parseWholeNumber('--at-least-sequence', sequence) } : {};
}
