import { defineCommand } from '#cli/command.ts';
import { wrap } from '#cli/help.ts';
import { printable, type Style } from '#cli/output/style.ts';
import { formatDuration, formatSize } from '#cli/output/units.ts';
import { countSchema } from '#cli/schemas.ts';
import type { RepositoryCheck } from '#operations/check-repository.ts';

export const repositoryCheck = defineCommand<RepositoryCheck>({
  noun: 'repository',
  verb: 'check',
  summary: 'say whether the repository is a good place for backups',
  description: `Asks the store what it does and what it lets us do: address and credentials, put, get, list and delete, that nothing is
overwritten and that of two writers one wins, checksums, object lock, versions, rules that delete, clock and speed; and says
what each means for backups. Exits 0 when nothing is bad and 1 when something is.

Needs the repository, no key and no database. Puts objects whose names begin with check- and removes them again; where they
could not be removed it puts none. Reads and changes no backup.`,
  examples: [
    { command: 'enclave-manager repository check', means: 'before the first backup, and when something is odd' },
    { command: 'enclave-manager repository check --json | jq .ok', means: 'for scripts' },
  ],
  unwell: 'something is bad',
  failures: ['repository-unreachable', 'damaged'],
  result: (z) =>
    z.object({
      location: z.string(),
      ok: z.boolean(),
      findings: z.array(
        z.object({
          topic: z.string(),
          grade: z.enum(['good', 'notice', 'bad']),
          found: z.string(),
          means: z.string(),
        }),
      ),
      speed: z
        .object({
          putMs: countSchema(z),
          getMs: countSchema(z),
          uploadBytesPerSecond: countSchema(z),
          downloadBytesPerSecond: countSchema(z),
        })
        .nullable(),
      leftBehind: z.array(z.string()),
    }),
  run: async (environment) => {
    const { checkRepository } = await import('#operations/check-repository.ts');
    const result = await checkRepository(environment.context, await environment.storeExaminer());
    return { result, exitCode: result.ok ? 0 : 1 };
  },
  render: ({ location, ok, findings, speed }, style) => {
    const headline = ok ? style.good('Good for backups') : style.bad('Not good for backups');
    const lines = findings.map(
      ({ topic, grade, found, means }) =>
        `${graded(grade, style)}  ${printable(topic).padEnd(16)}  ${printable(found)}\n${wrap(printable(means), ' '.repeat(26))}`,
    );
    return `${headline}: ${printable(location)}\n\n${lines.join('')}${speed === null ? '' : speedText(speed)}`;
  },
});

const graded = (grade: 'good' | 'notice' | 'bad', style: Style): string =>
  ({ good: style.good('good  '), notice: style.warn('notice'), bad: style.bad('bad   ') })[grade];

const speedText = ({
  putMs,
  getMs,
  uploadBytesPerSecond,
  downloadBytesPerSecond,
}: NonNullable<RepositoryCheck['speed']>): string =>
  `\nSmall objects: put in ${formatDuration(putMs)}, get in ${formatDuration(getMs)}. Chunks: ${formatSize(uploadBytesPerSecond)}/s up, ${formatSize(downloadBytesPerSecond)}/s down.\n`;
