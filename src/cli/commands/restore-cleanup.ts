import { defineCommand } from '#cli/command.ts';
import { failuresOfOpening } from '#cli/failures.ts';
import { counted, formatSize } from '#cli/output/units.ts';
import { leftDatabaseSchema } from '#cli/schemas.ts';

export const restoreCleanup = defineCommand({
  noun: 'restore',
  verb: 'cleanup',
  summary: 'drop the databases that restores left behind',
  description: `Drops the databases that finished, rolled back or interrupted restores left beside the live one, which it lists before
it asks. After that "restore rollback" is no longer possible.

Needs the database and the key of this host. Never touches the live database.`,
  examples: [
    { command: 'enclave-manager restore cleanup', means: 'lists what it would drop and asks' },
    { command: 'enclave-manager restore cleanup --yes', means: 'for scripts' },
  ],
  failures: failuresOfOpening.clusterOrImport,
  result: (z) =>
    z.object({
      dropped: z.array(leftDatabaseSchema(z)),
    }),
  run: async (environment) => {
    const { cleanUpRestore, leftDatabases } = await import('#operations/clean-up-restore.ts');
    const cluster = await environment.cluster();
    const left = await leftDatabases(cluster.server);
    if (left.length === 0) return { result: { dropped: [] } };
    const lines = left.map(({ name, role, sizeBytes }) => `  - ${name}, ${meanings[role]}, ${formatSize(sizeBytes)}\n`);
    await environment.output.confirm(
      `Drops:\n${lines.join('')}`,
      `Drop ${counted(left.length, 'database')}?`,
      environment.context.signal,
    );
    await cleanUpRestore(environment.context, cluster, left);
    return { result: { dropped: left } };
  },
  render: ({ dropped }) =>
    dropped.length === 0
      ? 'No restore left anything behind\n'
      : dropped.map(({ name, sizeBytes }) => `Dropped ${name}, ${formatSize(sizeBytes)}\n`).join(''),
});

const meanings = {
  before: 'replaced by a restore or rollback, needed to undo it',
  staging: 'half restored',
} as const;
