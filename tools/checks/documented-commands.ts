import { isEnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { commandName } from '#cli/command.ts';
import { commands } from '#cli/commands.ts';
import { parseCommandLine } from '#cli/program.ts';
import type { Problem } from './problem.ts';
import type { ProjectFile } from './project-files.ts';
import { shownCommands } from './shell-commands.ts';

const ofKubernetes = /^docs\/(runbooks\/.*|backup-restore(\.ja)?)\.md$/;
const defaultsPath = 'charts/enclave-manager/files/defaults.json';
const jobNames = new Set(commands.map((command) => commandName(command).replace(' ', '-')));
const otherNames = /^(manager|cockroachdb(-\d|-certificates)?)$/;

/**
 * What pages tell to type must be there: commands and options of the program, values of the chart, and the names that
 * the chart gives. The pages that are made from the code need no check.
 */
export function unknownCommands(files: readonly ProjectFile[]): Problem[] {
  const defaults: unknown = JSON.parse(files.find(({ path }) => path === defaultsPath)?.text ?? '{}');
  return files
    .filter(({ path }) => path.endsWith('.md') && path !== 'docs/cli.md')
    .flatMap((file) => shownCommands(file).map((shown) => ({ ...shown, inCluster: ofKubernetes.test(file.path) })))
    .flatMap(({ where, words, inCluster }) =>
      [
        ...unknownCommandLine(words),
        ...(inCluster ? [...unknownValues(words, defaults), ...unknownNames(words)] : []),
      ].map((what) => ({ where, what })),
    );
}

function* unknownCommandLine(words: readonly string[]): Generator<string> {
  const at = words.findIndex((word) => word === 'enclave-manager' || word.endsWith('bin/enclave-manager.mjs'));
  const isWhole = at >= 0 && at < words.length - 1 && !words.includes('…');
  if (isWhole) yield* refusalOf(words.slice(at + 1));
  for (const word of words) {
    const [, list] = /^(?:enclaveos-chart\.Job\.Arguments=)?\{([a-z]+(?:,[^{}]*)?)\}$/.exec(word) ?? [];
    if (list !== undefined) yield* refusalOf(list.split(','));
  }
}

function* refusalOf(parameters: readonly string[]): Generator<string> {
  try {
    parseCommandLine(commands, parameters);
  } catch (error) {
    if (!isEnclaveManagerError(error)) throw error;
    yield `enclave-manager ${parameters.join(' ')}: ${error.message}`;
  }
}

function* unknownValues(words: readonly string[], defaults: unknown): Generator<string> {
  for (const [index, word] of words.entries()) {
    if (!/^--set(-string|-json)?$/.test(word)) continue;
    const [name] = (words[index + 1] ?? '').split('=', 1);
    if (name !== undefined && name !== '' && !isValue(defaults, name)) yield `the chart has no value ${name}`;
  }
}

/** A list takes any place in it, and an empty group whatever its user names. */
function isValue(defaults: unknown, path: string): boolean {
  let value = defaults;
  for (const name of path.split(/(?<!\\)\.|(?=\[)/)) {
    if (Array.isArray(value)) return /^\[\d+\]$/.test(name);
    if (!isGroup(value)) return false;
    if (Object.keys(value).length === 0) return true;
    if (!Object.hasOwn(value, name)) return false;
    value = value[name];
  }
  return !isGroup(value) || Object.keys(value).length === 0;
}

const isGroup = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** What the chart makes is called by the release and one of these; a job by its command. */
function* unknownNames(words: readonly string[]): Generator<string> {
  for (const [whole, name = ''] of words.join(' ').matchAll(/\brelease-enclaveos-([a-z0-9-]+)/g))
    if (!otherNames.test(name) && !jobNames.has(name)) yield `nothing is called ${whole}`;
}
