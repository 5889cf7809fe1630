import type { RestorePlan } from '#operations/restore-plan.ts';
import { backupArgument, parseBackupChoice } from '#cli/catalog.ts';
import { defineCommand } from '#cli/command.ts';
import { failuresOfOpening } from '#cli/failures.ts';
import { orUnknown } from '#cli/or-unknown.ts';
import { describePlan, planOf } from '#cli/restore-plan-text.ts';
import { catalogEntrySchema, countSchema, fingerprintSchema, timeSchema, unknownSchema } from '#cli/schemas.ts';

export const restorePlan = defineCommand<RestorePlan>({
  noun: 'restore',
  verb: 'plan',
  summary: 'show what a restore would do, and whether it could',
  description: `Shows which backup it would be, whether it is the newest that this host has seen, which hosts can open it, how long it
should take, what it would replace, and everything that would stop it.

Needs the repository; database and key are looked at where there are any. Changes nothing in them; this host remembers what
it read of the other backups, and always reads the manifest of this one.`,
  arguments: [{ ...backupArgument, optional: true }],
  examples: [
    { command: 'enclave-manager restore plan latest', means: 'the newest backup that is not a safety backup' },
    {
      command: 'enclave-manager restore plan latest --json',
      means: 'the same for scripts; "obstacles" is empty when it would begin',
    },
  ],
  failures: [...failuresOfOpening.repository, ...failuresOfOpening.server, ...failuresOfOpening.sealing],
  result: (z) =>
    z.object({
      backup: catalogEntrySchema(z),
      unknown: unknownSchema(z, 'Why nothing here proves what the repository says. openableHere may be null then.'),
      clusterId: z.uuid(),
      clusterKey: fingerprintSchema(z).nullable(),
      newestSequence: countSchema(z),
      newestStartedAt: timeSchema(z),
      newerBackups: countSchema(z),
      highestSequenceSeen: countSchema(z).nullable(),
      openableHere: z.boolean().nullable(),
      openers: z.array(z.object({ nodeId: z.string(), name: z.string(), site: z.string().nullable() })),
      schemaVersion: countSchema(z),
      programSchemaVersion: countSchema(z),
      rows: countSchema(z),
      logicalBytes: countSchema(z),
      storedBytes: countSchema(z),
      estimatedDurationMs: countSchema(z),
      neededBytes: countSchema(z),
      server: z
        .object({
          location: z.string(),
          engine: z.string(),
          live: z
            .object({
              name: z.string(),
              sizeBytes: countSchema(z),
              clusterId: z.uuid().nullable(),
              content: z.enum(['nothing', 'cluster', 'creating', 'import', 'rows']),
            })
            .nullable(),
          missingPrivileges: z.array(z.string()),
          freeBytes: countSchema(z).nullable(),
        })
        .nullable(),
      obstacles: z.array(z.string()),
    }),
  run: async (environment, input) => {
    const choice = parseBackupChoice(input.arguments['ID']);
    const plan = async () => (await planOf(environment, choice, { create: false })).plan;
    return { result: await orUnknown('what a restore would do', plan) };
  },
  render: describePlan,
});
