import { basename, isAbsolute, join, relative } from 'node:path';

const name = 'enclave-manager';
const commandInText =
  /(?<![\w./-])enclave-manager (?=(?:serve|status|backup|restore|node|keys|repository|database|audit|config)\b)/g;

/**
 * How whoever started this process can start the next one. `script` is the program's first argument, `root` the
 * directory of the checkout, `startedBy` npm's name of what it runs.
 */
export function programName(start: {
  readonly script: string;
  readonly root: string;
  readonly startedBy: string | undefined;
  readonly workingDirectory: string;
}): string {
  if (start.startedBy === 'npx') return `npx ${name}`;
  // A link on the PATH, as an installed package has it.
  if (basename(start.script) === name) return name;
  const launcher = join(start.root, 'bin', `${name}.mjs`);
  const path = relative(start.workingDirectory, launcher);
  return shellWord(path.startsWith('..') || isAbsolute(path) ? launcher : `./${path}`);
}

/** Texts name commands as if the program were on the PATH; printed, they can be copied and run. */
export const spellCommands = (text: string, program: string): string =>
  text.replaceAll(commandInText, () => `${program} `);

const shellWord = (word: string): string =>
  /^[\w./@%+=:,-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
