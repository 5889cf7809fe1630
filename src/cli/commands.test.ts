import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { optionNames, options } from '#config/options.ts';
import { commandName } from './command.ts';
import { commands } from './commands.ts';
import { commandHelp, nounHelp, rootHelp } from './help.ts';

const longestLine = (text: string): number => Math.max(...text.split('\n').map((line) => line.length));

describe('the commands', () => {
  it('have different names', () => {
    const names = commands.map(commandName);
    expect(new Set(names).size).toBe(names.length);
  });

  it.each(commands.map((command) => [commandName(command), command] as const))(
    '%s has a help worth reading',
    (name, command) => {
      const help = commandHelp(command);
      expect(help).toContain(`enclave-manager ${name}`);
      expect(help).toMatch(/Needs |Opens |Makes /);
      expect(longestLine(help)).toBeLessThanOrEqual(80);
      expect(help).toMatch(/Examples:\n {2}\S/);
      expect(help).toMatch(/Exit codes:\n {2}0/);
      expect(command.summary.length).toBeLessThanOrEqual(70);
      expect(command.examples.every((example) => example.command.includes('enclave-manager'))).toBe(true);
    },
  );

  it.each(commands.map((command) => [commandName(command), command] as const))('%s has a JSON Schema', (_, command) => {
    const schema = z.toJSONSchema(command.result(z));
    expect(['object', 'array']).toContain(schema.type);
  });

  it('are all in the help of the program, and so is every setting', () => {
    const help = rootHelp(commands);
    for (const command of commands) expect(help).toContain(`  ${commandName(command)} `);
    for (const name of optionNames) expect(help).toContain(options[name].environment);
    expect(help).not.toContain('undefined');
    expect(help).toMatch(/AWS_SESSION_TOKEN\n.*Default: none\./);
    expect(longestLine(help)).toBeLessThanOrEqual(80);
    expect(longestLine(nounHelp('backup', commands))).toBeLessThanOrEqual(80);
  });
});
