import { openabilityWarnings, type Openability } from '#model/openability.ts';
import { defineCommand } from '#cli/command.ts';
import { failuresOfOpening } from '#cli/failures.ts';
import { formatTable, type Column } from '#cli/output/table.ts';
import { formatTime } from '#cli/output/units.ts';
import type { Style } from '#cli/output/style.ts';
import { orUnknown } from '#cli/or-unknown.ts';
import { backupIdSchema, backupKindSchema, countSchema, timeSchema } from '#cli/schemas.ts';
import { findingsText } from '#cli/status-text.ts';

export const openability = defineCommand<Openability>({
  noun: null,
  verb: 'openability',
  summary: 'which hosts open which backups; exits 1 when nobody opens one',
  description: `Shows for every backup which enrolled hosts open it and at how many sites they are, as far as that is known: a host without a
site adds none. Warns where that is fewer than two, where a key file stands for hardware, where a host's hardware was never
proved, and where its last proof is old.

With --without, as if that host were gone: look before work on its board, firmware or microcode, before it is evicted or
moved. Exits 1 when some backup would have no opener, or backups that this host has seen are hidden.

Needs the database, the repository and the key of this host. Changes nothing.`,
  examples: [
    { command: 'enclave-manager openability', means: 'backups by hosts, as a table' },
    { command: 'enclave-manager openability --without host-b', means: 'what would be left without host-b' },
  ],
  options: [{ flag: '--without <node>', help: 'a host to think away, by name or id' }],
  unwell: 'a backup that no host opens, or that is hidden',
  failures: failuresOfOpening.cluster,
  result: (z) =>
    z.object({
      nodes: z.array(
        z.object({
          nodeId: z.uuid(),
          name: z.string(),
          site: z.string().nullable(),
          sealingProvider: z.string(),
          grade: z.string(),
          lastProof: z.object({ at: timeSchema(z), epochs: z.array(z.int().min(1)) }).nullable(),
        }),
      ),
      backups: z.array(
        z.object({
          id: backupIdSchema(z),
          kind: backupKindSchema(z),
          startedAt: timeSchema(z),
          openableBy: z.array(z.uuid()),
          sites: countSchema(z),
        }),
      ),
      warnings: z.array(z.object({ code: z.enum(openabilityWarnings), message: z.string(), hint: z.string() })),
      lost: z.array(backupIdSchema(z)),
    }),
  run: async (environment, { options }) => {
    const { readOpenability } = await import('#operations/read-openability.ts');
    const without = options['without'];
    const name = typeof without === 'string' ? without : undefined;
    const result = await orUnknown('which hosts open which backups', async () => {
      const cluster = await environment.cluster({ finishImport: false });
      return await readOpenability(environment.context, cluster, name);
    });
    return { result, exitCode: result.lost.length === 0 && !areHidden(result) ? 0 : 1 };
  },
  render: (result, style) =>
    `${matrix(result, style)}\n${hosts(result, style)}${findingsText(warnings(result), style)}`,
});

const warnings = ({ warnings: all }: Openability) => all.map((each) => ({ severity: 'warning' as const, ...each }));

type BackupRow = Openability['backups'][number];

const areHidden = ({ warnings: all }: Openability): boolean => all.some(({ code }) => code === 'backups-hidden');

const missing = ['backups-hidden', 'manifest-rejected'];

function matrix({ backups, nodes, warnings: all }: Openability, style: Style): string {
  const nothing = all.some(({ code }) => missing.includes(code))
    ? 'Which hosts open the backups is unknown: none of them is there to be read.\n'
    : 'There is no backup yet. Take one: enclave-manager backup create\n';
  if (backups.length === 0) return nothing;
  const columns: Column<BackupRow>[] = [
    { title: 'BACKUP', cell: ({ id }) => id },
    { title: 'KIND', cell: ({ kind }) => kind },
    ...nodes.map(({ nodeId, name }) => ({
      title: name,
      cell: ({ openableBy }: BackupRow) => (openableBy.includes(nodeId) ? 'opens' : '-'),
    })),
    { title: 'HOSTS', align: 'right', cell: ({ openableBy }) => String(openableBy.length) },
    { title: 'SITES', align: 'right', cell: ({ sites }) => String(sites) },
  ];
  return formatTable(columns, backups, style);
}

function hosts({ nodes }: Openability, style: Style): string {
  if (nodes.length === 0) return 'No host would be left.\n';
  return formatTable(
    [
      { title: 'HOST', cell: ({ name }) => name },
      { title: 'SITE', cell: ({ site }) => site ?? '-' },
      { title: 'SEALED BY', cell: ({ sealingProvider, grade }) => `${sealingProvider}, ${grade}` },
      { title: 'LAST PROOF', cell: ({ lastProof }) => (lastProof === null ? 'none' : formatTime(lastProof.at)) },
    ],
    nodes,
    style,
  );
}
