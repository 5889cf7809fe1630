import { describe, expect, it } from 'vitest';
import { commandName } from '#cli/command.ts';
import { commands } from '#cli/commands.ts';
import { commandHelp } from '#cli/help.ts';
import { errorCodes } from '#errors/codes.ts';
import { runCommand } from '../fixtures/command.ts';
import { undeclaredExit } from '../fixtures/declared-exit.ts';
import { temporaryDirectory } from '../fixtures/host.ts';

const exitCodes = [...new Set(Object.values(errorCodes).map(({ exitCode }): number => exitCode))];

describe('the code that a command of the tests ends with', () => {
  it('fails the test where the help of the command does not have it', async () => {
    const program = ['sh', '-c', 'exit 14'] as const;
    const run = runCommand(['config', 'show', '--json'], { dataDirectory: temporaryDirectory(), program });
    await expect(run).rejects.toThrow('"config show" ended with 14, which its list of failures');
    const declared = runCommand(['audit', 'list'], { dataDirectory: temporaryDirectory(), program });
    expect(await declared).toMatchObject({ exitCode: 14 });
  });

  it.each(commands.map((command) => [commandName(command), command] as const))(
    'is in the help of %s exactly where it is declared',
    (name, command) => {
      const shown = [
        ...commandHelp(command)
          .split('Exit codes:')[1]!
          .matchAll(/^ {2}(\d+) /gm),
      ].map(([, code]) => code);
      // The words of a line: no operand is looked at before the command runs.
      const words = [...name.split(' '), ...(command.arguments ?? []).map(() => 'latest')];
      const declared = exitCodes.filter((code) => undeclaredExit(words, code) === undefined);
      const stopped = command.untilStopped === true ? [130, 143] : [];
      expect(shown.map(Number)).toEqual(
        [0, ...declared.toSorted((a, b) => a - b)].filter((code) => !stopped.includes(code)),
      );
    },
  );

  it('is held to nothing where no command ran', () => {
    expect(undeclaredExit(['--help'], 1)).toBeUndefined();
    expect(undeclaredExit(['no', 'such'], 2)).toBeUndefined();
  });
});
