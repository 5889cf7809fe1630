import { describe, expect, it } from 'vitest';
import { isEnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { commands } from './commands.ts';
import { parseCommandLine } from './program.ts';

const parse = (line: string) => parseCommandLine(commands, line === '' ? [] : line.split(' '));

function refusal(line: string): { code: string; message: string; hint: string } {
  try {
    parse(line);
  } catch (error) {
    if (isEnclaveManagerError(error)) return { code: error.code, message: error.message, hint: error.hint };
    throw error;
  }
  throw new Error(`"${line}" was understood`);
}

describe('parseCommandLine', () => {
  it.each(['--data-dir /x --json backup list', 'backup --json --data-dir=/x list', 'backup list --json --data-dir /x'])(
    'takes common flags and settings anywhere: %s',
    (line) => {
      const request = parse(line);
      expect(request).toMatchObject({
        kind: 'run',
        command: { noun: 'backup', verb: 'list' },
        flags: { json: true, quiet: false, phases: false, yes: false, settings: { dataDirectory: '/x' } },
      });
    },
  );

  it('hands a command its arguments and options by their own names', () => {
    expect(parse('restore run latest --cluster-key sha256:x --without-safety-backup --yes')).toMatchObject({
      input: {
        arguments: { ID: 'latest' },
        options: {
          'cluster-key': 'sha256:x',
          'without-safety-backup': true,
          'at-least-sequence': undefined,
          'accept-missing-after': undefined,
        },
      },
      flags: { yes: true },
    });
  });

  it.each([
    ['', 'no command was given', 'enclave-manager --help'],
    ['backup', '"backup" needs a second word: create, list, show, verify, drill', 'enclave-manager backup --help'],
    ['backup frob', "unknown command 'frob'", 'enclave-manager backup --help'],
    ['stauts', 'Did you mean status?', 'enclave-manager --help'],
    ['backup show', "missing required argument 'ID'", 'enclave-manager backup show --help'],
    ['backup list extra', 'too many arguments', 'enclave-manager backup list --help'],
    ['backup list --frob', "unknown option '--frob'", 'enclave-manager backup list --help'],
    ['serve --listen', "'--listen <address:port>' argument missing", 'enclave-manager serve --help'],
  ])('refuses "%s" and says what would be right', (line, message, hint) => {
    expect(refusal(line)).toEqual({
      code: 'usage',
      message: expect.stringContaining(message),
      hint: expect.stringContaining(hint),
    });
  });

  it('prints help for the program, a noun and a command, and the version', () => {
    const printed = (line: string) => {
      const request = parse(line);
      return request.kind === 'print' ? request.text : '';
    };
    expect(printed('--help')).toContain('backup create');
    expect(printed('backup --help')).toContain('enclave-manager backup <command>');
    expect(printed('backup create --help')).toContain('Usage: enclave-manager backup create [options]');
    expect(printed('--version')).toMatch(/^\d+\.\d+\.\d+\n$/);
  });
});
