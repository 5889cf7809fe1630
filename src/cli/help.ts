import { type ErrorCode, errorCodes } from '#errors/codes.ts';
import type { Option } from '#config/option.ts';
import { optionNames, options } from '#config/options.ts';
import { type Command, commandName } from './command.ts';
import { generalFailures } from './failures.ts';

const width = 80;
const program = 'enclave-manager';

/** Flags that every command takes. */
export const commonFlags: readonly (readonly [flag: string, help: string])[] = [
  ['--json', 'print one JSON document to stdout, also for a failure'],
  ['--quiet', 'print no progress and no notes'],
  ['--phases', 'print a line of JSON to stderr when a phase of the work begins or ends'],
  ['--yes', 'answer every question with yes'],
  ['--help', 'print this and do nothing'],
];

export function rootHelp(commands: readonly Command[]): string {
  const lines = commands.map((command) => [commandName(command), command.summary] as const);
  return [
    `Usage: ${program} <command> [options]\n`,
    wrap('The control plane for confidential-computing hosts, with backup and restore that prove themselves.'),
    `Commands:\n${twoColumns(lines)}`,
    `Options of every command:\n${twoColumns([...commonFlags, ['--version', 'print the version']])}`,
    `Settings, as variable or flag; "config show" prints those in force:\n${settingsHelp()}`,
    wrap(`Begin with: ${program} serve. More on a command: ${program} <command> --help.`),
  ].join('\n');
}

function settingsHelp(): string {
  return optionNames
    .map((name) => {
      const option: Option<unknown> = options[name];
      const flag = option.flag === undefined ? '' : `, ${option.flag}`;
      const value = option.defaultMeans ?? (option.default === '' ? 'none' : option.default);
      return `  ${option.environment}${flag}\n${wrap(`${option.help}. Default: ${value}.`, '      ')}`;
    })
    .join('');
}

export function nounHelp(noun: string, commands: readonly Command[]): string {
  const lines = commands.map((command) => [commandName(command), command.summary] as const);
  return [
    `Usage: ${program} ${noun} <command> [options]\n`,
    `Commands:\n${twoColumns(lines)}`,
    wrap(`More on one of them: ${program} ${noun} <command> --help.`),
  ].join('\n');
}

export function commandHelp(command: Command): string {
  const sections = [
    `Usage: ${usage(command)}\n`,
    ...command.description.split('\n\n').map((paragraph) => wrap(paragraph)),
  ];
  if (command.arguments !== undefined && command.arguments.length > 0) {
    sections.push(`Arguments:\n${twoColumns(command.arguments.map(({ name, help }) => [name, help] as const))}`);
  }
  const own = (command.options ?? []).map(({ flag, help }) => [flag, help] as const);
  sections.push(`Options:\n${twoColumns([...own, ...commonFlags])}`);
  const examples = command.examples.map(({ command: line, means }) => `${shellLines(line)}${wrap(means, '      ')}`);
  sections.push(`Examples:\n${examples.join('')}`);
  sections.push(`Exit codes:\n${twoColumns(exitCodeLines(command))}`);
  sections.push(wrap(`Settings, such as where the data lies: ${program} --help.`));
  return sections.join('\n');
}

function usage(command: Command): string {
  const operands = (command.arguments ?? []).map(({ name, optional }) =>
    optional === true ? `[${name}]` : `<${name}>`,
  );
  return [program, commandName(command), ...operands, '[options]'].join(' ');
}

function exitCodeLines(command: Command): (readonly [string, string])[] {
  const meanings = new Map<number, string[]>([[0, ['done']]]);
  if (command.unwell !== undefined) meanings.set(1, [command.unwell]);
  const stopped: readonly ErrorCode[] = command.untilStopped === true ? ['interrupted', 'terminated'] : [];
  const general = generalFailures.filter((code) => !stopped.includes(code));
  for (const code of [...general, ...command.failures]) {
    const { exitCode, means } = errorCodes[code];
    const known = meanings.get(exitCode) ?? [];
    if (!known.includes(means)) meanings.set(exitCode, [...known, means]);
  }
  return [...meanings].toSorted(([a], [b]) => a - b).map(([code, means]) => [String(code), means.join('; ')] as const);
}

/** Names in one column, sentences beside them, continued under themselves. */
function twoColumns(lines: readonly (readonly [name: string, text: string])[]): string {
  const nameWidth = Math.min(30, Math.max(...lines.map(([name]) => name.length)));
  const indent = ' '.repeat(nameWidth + 4);
  return lines
    .map(([name, text]) => {
      const head = name.length > nameWidth ? `  ${name}\n${indent}` : `  ${name.padEnd(nameWidth)}  `;
      return head + wrap(text, indent).slice(indent.length);
    })
    .join('');
}

/** A command that can be copied and run however long it is. */
function shellLines(command: string): string {
  const continued = ' \\';
  const lines: string[] = [];
  let line = ' ';
  for (const part of partsOf(command)) {
    if (line.length + 1 + part.length + continued.length > width) {
      lines.push(line + continued);
      line = '   ';
    }
    line += ` ${part}`;
  }
  return `${[...lines, line].join('\n')}\n`;
}

/** A flag and its value, and a pipe and what it leads to, stay together. */
const partsOf = (command: string): string[] => command.split(/(?<!(?:^| )(?:-\S+|[|>])) | (?=-\S)/);

export function wrap(text: string, indent = ''): string {
  const lines: string[] = [];
  let line = indent;
  for (const word of text.split(/\s+/)) {
    if (line.length + word.length > width && line.trim() !== '') {
      lines.push(line.trimEnd());
      line = indent;
    }
    line += `${word} `;
  }
  return `${[...lines, line.trimEnd()].join('\n')}\n`;
}
