import { closestName } from './closest-name.ts';
import { type Option, OptionProblem, type Place } from './option.ts';
import { flagName, type OptionName, optionNames, type Options, options } from './options.ts';

/** Everything the configuration is read from; `main.ts` passes the real ones. */
export interface ConfigurationSources {
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly flags: Partial<Readonly<Record<OptionName, string>>>;
  readonly workingDirectory: string;
  readonly hostName: string;
  /** Throws what `node:fs` throws; files beyond 64 KiB are refused by the caller. */
  readonly readFile: (path: string) => string;
}

/** One option as it is in force, for `config show`. */
export interface Setting {
  readonly name: OptionName;
  readonly environment: string;
  /** Masked where secret; `null` where nothing is set and nothing derived. */
  readonly value: string | null;
  readonly source: 'default' | 'environment' | 'flag' | 'file';
}

export interface Problem {
  /** Variable or flag. */
  readonly setting: string;
  readonly message: string;
  readonly hint: string;
}

type Values = { -readonly [Name in OptionName]?: ReturnType<Options[Name]['parse']> };

export interface ReadSettings {
  readonly values: Values;
  readonly settings: Setting[];
  readonly problems: Problem[];
  readonly warnings: string[];
}

const maxValueCharacters = 65_536;
const shownCharacters = 120;

export function readSettings(sources: ConfigurationSources): ReadSettings {
  const read: ReadSettings = {
    values: {},
    settings: [],
    problems: [],
    warnings: unknownVariables(sources.environment),
  };
  for (const name of optionNames) readOption(name, sources, read);
  return read;
}

function readOption(name: OptionName, sources: ConfigurationSources, read: ReadSettings): void {
  const option: Option<unknown> = options[name];
  const found = findText(name, option, sources);
  if ('problem' in found) {
    read.problems.push(found.problem);
    read.settings.push({ name, environment: option.environment, value: null, source: found.source });
    return;
  }
  const { text, source, setting } = found;
  const value = text === undefined ? null : shownText(option, text);
  read.settings.push({ name, environment: option.environment, value, source });
  if (text === undefined) return;
  try {
    (read.values as Record<string, unknown>)[name] = parseText(option, text, sources);
  } catch (error) {
    if (!(error instanceof OptionProblem)) throw error;
    const shown =
      source === 'file' ? `the value in ${sources.environment[setting]}, named by ${setting}` : `${setting}=${value}`;
    read.problems.push({ setting, message: `${shown}: ${error.message}`, hint: error.hint });
  }
}

function parseText(option: Option<unknown>, text: string, place: Place): unknown {
  if (text.length > maxValueCharacters) throw new OptionProblem('is too long', 'Use at most 65536 characters.');
  return option.parse(text, place);
}

type Found =
  | { readonly text: string | undefined; readonly source: Setting['source']; readonly setting: string }
  | { readonly problem: Problem; readonly source: Setting['source'] };

function findText(name: OptionName, option: Option<unknown>, sources: ConfigurationSources): Found {
  const flag = sources.flags[name];
  if (flag !== undefined) return { text: flag, source: 'flag', setting: flagName(option.flag ?? '') };
  const direct = sources.environment[option.environment];
  const fileVariable = `${option.environment}_FILE`;
  const file = option.file === true ? sources.environment[fileVariable] : undefined;
  if (direct !== undefined && file !== undefined) {
    const message = `${option.environment} and ${fileVariable} are both set`;
    return { problem: { setting: fileVariable, message, hint: 'Unset one of them.' }, source: 'environment' };
  }
  if (file !== undefined) return readSecretFile(fileVariable, file, sources);
  if (direct !== undefined) return { text: direct, source: 'environment', setting: option.environment };
  return { text: option.default, source: 'default', setting: option.environment };
}

function readSecretFile(setting: string, path: string, sources: ConfigurationSources): Found {
  try {
    return { text: sources.readFile(path).replace(/\r?\n$/, ''), source: 'file', setting };
  } catch (error) {
    const reason = error instanceof Error && 'code' in error ? String(error.code) : 'error';
    const message = `${setting}=${path.slice(0, shownCharacters)}: the file cannot be read (${reason})`;
    return { problem: { setting, message, hint: 'Name a file that this user may read.' }, source: 'file' };
  }
}

function shownText(option: Option<unknown>, text: string): string {
  if (option.secret === true && option.mask === undefined) return '***';
  const shown = (option.mask ?? String)(text).replaceAll(/\p{Cc}/gu, '?');
  return shown.length > shownCharacters ? `${shown.slice(0, shownCharacters)}…` : shown;
}

/** Crash points, set by the crash tests only. */
const forTests = 'ENCLAVE_MANAGER_TEST_';

/** A variable that begins like ours and is none of ours is a typo until shown otherwise. */
function unknownVariables(environment: ConfigurationSources['environment']): string[] {
  const known = optionNames.flatMap((name) => variableNames(options[name]));
  return Object.keys(environment)
    .filter((name) => name.startsWith('ENCLAVE_MANAGER_') && !name.startsWith(forTests) && !known.includes(name))
    .toSorted()
    .map((name) => {
      const closest = closestName(name, known);
      const advice = closest === undefined ? 'config show lists the known ones' : `did you mean ${closest}?`;
      return `${name.slice(0, shownCharacters)} is not known to this version and has no effect; ${advice}`;
    });
}

function variableNames(option: Option<unknown>): string[] {
  return option.file === true ? [option.environment, `${option.environment}_FILE`] : [option.environment];
}
