import { defineCommand } from '#cli/command.ts';
import { formatTable } from '#cli/output/table.ts';

export const configShow = defineCommand({
  noun: 'config',
  verb: 'show',
  summary: 'show every setting, its value and where it comes from',
  description: `Shows the settings in force: value, and whether it comes from a flag, the environment, a file or the default.
Secrets are masked. Works with wrong settings too, says all that is wrong with them, and then exits 10.

Needs nothing, opens nothing, changes nothing.`,
  examples: [{ command: 'enclave-manager config show', means: 'what this host would run with' }],
  failures: [],
  result: (z) =>
    z.object({
      settings: z.array(
        z.object({
          name: z.string(),
          variable: z.string(),
          value: z.string().nullable(),
          source: z.enum(['default', 'environment', 'flag', 'file']),
        }),
      ),
      problems: z.array(z.object({ setting: z.string(), message: z.string(), hint: z.string() })),
      warnings: z.array(z.string()),
    }),
  run: async ({ inspected }) => {
    const settings = inspected.settings.map(({ name, environment, value, source }) => ({
      name,
      variable: environment,
      value,
      source,
    }));
    const result = { settings, problems: [...inspected.problems], warnings: [...inspected.warnings] };
    return { result, exitCode: inspected.problems.length === 0 ? 0 : 10 };
  },
  render: ({ settings, problems }, style) => {
    const table = formatTable(
      [
        { title: 'SETTING', cell: ({ variable }) => variable },
        { title: 'VALUE', cell: ({ value }) => (value === null ? '-' : value === '' ? '(none)' : value) },
        { title: 'FROM', cell: ({ source }) => source },
      ],
      settings,
      style,
    );
    return table + problems.map(({ message, hint }) => `\n${style.bad('Wrong:')} ${message}\n${hint}\n`).join('');
  },
});
