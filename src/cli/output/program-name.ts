import { basename, isAbsolute, join, relative } from 'node:path';

const name = 'enclave-manager';
const commandInText =
  /(?<![\w./-])enclave-manager (?=(?:serve|status|openability|backup|restore|node|keys|repository|database|audit|config)\b)/g;

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

/** How a person starts the program: on some host of the cluster, and on this very one where only that will do. */
export interface Spelling {
  readonly program: string;
  readonly here: string;
  /** The whole command that enrols this very host, where it is another than `here` says. */
  readonly enrol?: string | undefined;
}

const enrolHere = 'enclave-manager node enrol --token-file -';

/** What concerns the key and the hardware of one host. */
const concernsThisHost = /^enclave-manager node (?:enrol|measure|probe)\b/;

/** Texts name commands as if the program were on the PATH; printed, they can be copied and run. */
export function spellCommands(text: string, { program, here, enrol }: Spelling): string {
  if (enrol !== undefined && text.includes(enrolHere)) {
    const parts = text.split(enrolHere).map((part) => spellCommands(part, { program, here }));
    return parts.join(enrol);
  }
  return text.replaceAll(commandInText, (_match, at: number) =>
    concernsThisHost.test(text.slice(at, at + 40)) ? `${here} ` : `${program} `,
  );
}

/** As the settings say it, else as this process was started. */
export function spellingOf(environment: Readonly<Record<string, string | undefined>>, started: () => string): Spelling {
  const program = environment['ENCLAVE_MANAGER_COMMAND'] || started();
  return {
    program,
    here: environment['ENCLAVE_MANAGER_COMMAND_HERE'] || program,
    enrol: environment['ENCLAVE_MANAGER_COMMAND_ENROL'] || undefined,
  };
}

const shellWord = (word: string): string =>
  /^[\w./@%+=:,-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
