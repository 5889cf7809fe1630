import { Command as Parser, CommanderError, type OutputConfiguration } from 'commander';
import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { type OptionName, optionNames, options } from '#config/options.ts';
import { productVersion } from '#model/product.ts';
import { type Command, commandName, type Input } from './command.ts';
import { commandHelp, commonFlags, nounHelp, rootHelp } from './help.ts';

/** What a command line asks for. */
export type Request =
  | { readonly kind: 'print'; readonly text: string }
  | { readonly kind: 'run'; readonly command: Command; readonly input: Input; readonly flags: CommonFlags };

export interface CommonFlags {
  readonly json: boolean;
  readonly quiet: boolean;
  readonly phases: boolean;
  readonly yes: boolean;
  readonly settings: Partial<Record<OptionName, string>>;
}

/** Reads a command line; throws `usage` for one that makes no sense. Runs nothing. */
export function parseCommandLine(commands: readonly Command[], argv: readonly string[]): Request {
  let printed = '';
  let request: Request | undefined;
  const output: OutputConfiguration = { writeOut: (text) => void (printed += text), writeErr: () => {} };
  const root = newParser('enclave-manager', () => rootHelp(commands), output);
  root.version(productVersion);
  addCommonFlags(root);
  const parserOf = nounParsers(root, commands, output);
  for (const command of commands) {
    const parser = newParser(command.verb, () => commandHelp(command), output);
    for (const { name, optional } of command.arguments ?? [])
      parser.argument(optional === true ? `[${name}]` : `<${name}>`);
    for (const { flag } of command.options ?? []) parser.option(flag);
    parser.action(() => {
      request = { kind: 'run', command, input: inputOf(command, parser), flags: commonFlagsOf(root) };
    });
    parserOf(command).addCommand(parser);
  }
  try {
    root.parse(argv, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode !== 0) throw usageError(error, commands, argv);
    return { kind: 'print', text: printed };
  }
  return request ?? { kind: 'print', text: rootHelp(commands) };
}

function newParser(name: string, help: () => string, output: OutputConfiguration): Parser {
  return new Parser(name)
    .exitOverride()
    .configureOutput(output)
    .configureHelp({ formatHelp: help })
    .helpCommand(false)
    .allowExcessArguments(false);
}

function nounParsers(
  root: Parser,
  commands: readonly Command[],
  output: OutputConfiguration,
): (command: Command) => Parser {
  const parsers = new Map<string, Parser>();
  for (const { noun } of commands) {
    if (noun === null || parsers.has(noun)) continue;
    const ofNoun = commands.filter((command) => command.noun === noun);
    const parser = newParser(noun, () => nounHelp(noun, ofNoun), output);
    parsers.set(noun, parser);
    root.addCommand(parser);
  }
  return (command) => parsers.get(command.noun ?? '') ?? root;
}

function addCommonFlags(root: Parser): void {
  for (const [flag] of commonFlags) if (flag !== '--help') root.option(flag);
  for (const name of optionNames) {
    const option: { readonly flag?: string } = options[name];
    if (option.flag !== undefined) root.option(option.flag);
  }
}

function commonFlagsOf(root: Parser): CommonFlags {
  const given = root.opts<Record<string, string | true | undefined>>();
  const settings: Partial<Record<OptionName, string>> = {};
  for (const name of optionNames) {
    const option: { readonly flag?: string } = options[name];
    const value = option.flag === undefined ? undefined : given[attribute(option.flag)];
    if (typeof value === 'string') settings[name] = value;
  }
  const has = (flag: string): boolean => given[flag] === true;
  return { json: has('json'), quiet: has('quiet'), phases: has('phases'), yes: has('yes'), settings };
}

function inputOf(command: Command, parser: Parser): Input {
  const given = parser.opts<Record<string, string | true | undefined>>();
  const names = (command.arguments ?? []).map(({ name }) => name);
  const flags = (command.options ?? []).map(({ flag }) => flag);
  return {
    arguments: Object.fromEntries(names.map((name, index) => [name, parser.args[index]])),
    options: Object.fromEntries(flags.map((flag) => [flag.split(' ', 1)[0]!.slice(2), given[attribute(flag)]])),
  };
}

/** commander's spelling of a flag: `--data-dir <directory>` → `dataDir`. */
const attribute = (flag: string): string =>
  flag
    .split(' ', 1)[0]!
    .slice(2)
    .replaceAll(/-(.)/g, (_, letter: string) => letter.toUpperCase());

function usageError(error: CommanderError, commands: readonly Command[], argv: readonly string[]): EnclaveManagerError {
  const words = argv.filter((word) => !word.startsWith('-'));
  const near = commands.find((command) => words.join(' ').startsWith(commandName(command)));
  const noun = commands.find((command) => command.noun === words[0])?.noun;
  const help = `See what it takes: enclave-manager ${near === undefined ? (noun ?? '') : commandName(near)}`.trimEnd();
  if (error.code === 'commander.help') {
    const message = noun == null ? 'no command was given' : `"${noun}" needs a second word: ${verbsOf(noun, commands)}`;
    return new EnclaveManagerError('usage', message, { hint: `${help} --help.` });
  }
  return new EnclaveManagerError('usage', error.message.replace(/^error: /, '').slice(0, 500), {
    hint: `${help} --help.`,
  });
}

const verbsOf = (noun: string, commands: readonly Command[]): string =>
  commands
    .filter((command) => command.noun === noun)
    .map(({ verb }) => verb)
    .join(', ');
