import type { Status } from '#operations/read-status.ts';
import { defineCommand } from '#cli/command.ts';
import { failuresOfOpening } from '#cli/failures.ts';
import { orUnknown } from '#cli/or-unknown.ts';
import { statusSchema } from '#cli/status-schema.ts';
import { statusText } from '#cli/status-text.ts';

export const status = defineCommand<Status>({
  noun: null,
  verb: 'status',
  summary: 'say whether you could restore tomorrow: exits 0 healthy, 1 not',
  description: `Shows the last backup and the last drill, what is due when and what is overdue, which hosts can open the backups, and
everything that is wrong or should be known. Exits 0 when healthy and 1 when not. Where the repository cannot be read,
nothing is said of the backups but that it is unknown, and why.

Needs the database, the repository and the key of this host. Changes nothing.`,
  examples: [
    { command: 'enclave-manager status', means: 'for people' },
    { command: 'enclave-manager status --json | jq .lastDrill', means: 'when a restore was last proved' },
  ],
  unwell: 'not healthy',
  failures: failuresOfOpening.cluster,
  result: (z) => statusSchema(z),
  run: async (environment) => {
    const { readStatus } = await import('#operations/read-status.ts');
    const { backupSchedule, drillSchedule, pruneSchedule, verifyPeriodMs } = environment.configuration;
    const open = async () => await environment.cluster({ finishImport: false });
    const cluster = await orUnknown('whether a backup could be restored', open);
    const onOneDisk = await environment.findOnOneDisk();
    const result = await readStatus(environment.context, cluster, {
      backupSchedule,
      drillSchedule,
      pruneSchedule,
      verifyPeriodMs,
      onOneDisk,
      embeddedDatabase: environment.configuration.database.kind === 'embedded',
    });
    return { result, exitCode: result.healthy ? 0 : 1 };
  },
  render: statusText,
});
