import { type Command, commandName } from '#cli/command.ts';
import { commandHelp, rootHelp } from '#cli/help.ts';
import type { Option } from '#config/option.ts';
import { optionNames, options } from '#config/options.ts';
import { table } from './errors-page.ts';

/** `docs/cli.md`: what `--help` prints, in one page, and the settings. */
export function cliPage(commands: readonly Command[]): string {
  const sections = commands.map((command) => {
    const name = commandName(command);
    return `## ${name}\n\n${block(commandHelp(command))}\n\n\`--json\` prints: [schema](${schemaLink(name)}).\n`;
  });
  return `# The command line

${block(rootHelp(commands).split('\nSettings,', 1)[0] ?? '')}

Data goes to stdout, everything else to stderr. With \`--json\` stdout carries one document, also for a failure; times in
it are RFC 3339 in UTC, sizes are integers in bytes. Exit codes: [errors](errors.md).

## Settings

A flag wins over its variable. \`config show\` prints what is in force and where it comes from. A variable marked with
\`_FILE\` can also be given as a file: the name with \`_FILE\` at its end holds the path.

${settingsTable()}
${sections.join('\n')}
This page is generated from the commands and options: \`npm run docs:write\`.
`;
}

/** Path of a command's JSON Schema, relative to `docs/`. */
export const schemaLink = (name: string): string => `schemas/${name.replaceAll(' ', '-')}.json`;

const block = (text: string): string => `\`\`\`text\n${text.trimEnd()}\n\`\`\``;

function settingsTable(): string {
  const rows = optionNames.map((name) => {
    const option: Option<unknown> = options[name];
    const names = [`\`${option.environment}\``, ...(option.flag === undefined ? [] : [`\`${option.flag}\``])];
    const variable = names.join(', ') + (option.file === true ? ' (`_FILE`)' : '');
    return [variable, defaultOf(option), option.help];
  });
  return table(['variable, flag', 'default', 'means'], rows);
}

function defaultOf(option: Option<unknown>): string {
  return option.defaultMeans ?? (option.default === '' ? 'empty' : `\`${option.default}\``);
}
