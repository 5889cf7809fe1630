import { commands } from '#cli/commands.ts';
import { commonFlags } from '#cli/help.ts';
import { type Option } from '#config/option.ts';
import { optionNames, options } from '#config/options.ts';
import type { Problem } from './problem.ts';
import type { ProjectFile } from './project-files.ts';

/** The rooms whose texts tell people what to type. What adapters start takes flags of its own. */
const speaking =
  /^src\/(cli|config|errors|http|keys|model|operations|server|store)\/(?!.*\.(test|fixture)\.ts$).*\.ts$/;
const flag = /(?<![\w-])--[a-z][a-z0-9-]*[a-z0-9](?![\w-])/g;

const settings = optionNames.map((name): Option<unknown> => options[name]);
const known = new Set(
  [
    '--version',
    ...commonFlags.map(([name]) => name),
    ...settings.flatMap((setting) => setting.flag ?? []),
    ...commands.flatMap((command) => (command.options ?? []).map((option) => option.flag)),
  ].map((spelled) => spelled.split(' ', 1)[0]),
);

/** What hints, helps and comments call a flag must be one of the program. */
export function unknownFlags(files: readonly ProjectFile[]): Problem[] {
  return files
    .filter(({ path }) => speaking.test(path))
    .flatMap(({ path, text }) =>
      text
        .split('\n')
        .flatMap((line, index) =>
          [...line.matchAll(flag)]
            .filter(([name]) => !known.has(name))
            .map(([name]) => ({ where: `${path}:${index + 1}`, what: `the program has no flag ${name}` })),
        ),
    );
}
