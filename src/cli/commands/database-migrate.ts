import { defineCommand } from '#cli/command.ts';
import { failuresOfOpening } from '#cli/failures.ts';
import { countSchema } from '#cli/schemas.ts';

export const databaseMigrate = defineCommand({
  noun: 'database',
  verb: 'migrate',
  summary: 'bring the schema of the database forward to this program',
  description: `Applies the migrations that the database lacks, each in one transaction, while no backup or restore runs. Forward only:
take a backup first if you may want to go back to an older release.

Needs the database, no key. "serve" does the same at its start.`,
  examples: [
    { command: 'enclave-manager database migrate', means: 'before starting several managers of a new release' },
  ],
  failures: [...failuresOfOpening.liveRows, 'restore-needed', 'lease-held'],
  result: (z) => z.object({ from: countSchema(z), to: countSchema(z) }),
  run: async (environment) => {
    const { migrateDatabase } = await import('#operations/database-status.ts');
    return { result: await migrateDatabase(environment.context, await environment.server()) };
  },
  render: ({ from, to }) =>
    from === to ? `Schema ${to} is up to date\n` : `Brought the schema from ${from} to ${to}\n`,
});
