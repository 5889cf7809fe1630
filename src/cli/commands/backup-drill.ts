import { backupArgument, clusterKeyOption, openCatalog, parseBackupChoice, requireKeyring } from '#cli/catalog.ts';
import { readClusterKey } from '#cli/cluster-key.ts';
import { defineCommand } from '#cli/command.ts';
import { failuresOfOpening } from '#cli/failures.ts';
import { counted, formatDuration, formatSize } from '#cli/output/units.ts';
import { backupIdSchema, countSchema, timeSchema } from '#cli/schemas.ts';

export const backupDrill = defineCommand({
  noun: 'backup',
  verb: 'drill',
  summary: 'restore a backup into a scratch database and compare every row',
  description: `Starts a private database, restores the backup into it the way a real restore does, reads every table back,
compares it with the backup, makes it ready to serve as a restore does, and removes the database. The signed result, with
the time it took, is stored in the repository: it is the proof that this backup can be restored.

Needs the repository, the key of this host and free disk of about four times the data. Touches no other database.`,
  arguments: [backupArgument],
  options: [clusterKeyOption],
  examples: [{ command: 'enclave-manager backup drill latest', means: 'prove that the newest backup can be restored' }],
  failures: [
    ...failuresOfOpening.repositoryWithKeys,
    'database-unreachable',
    'restore-failed',
    'rows-differ',
    'not-permitted',
  ],
  result: (z) =>
    z.object({
      id: backupIdSchema(z),
      at: timeSchema(z),
      durationMs: countSchema(z),
      tables: countSchema(z),
      rows: countSchema(z),
      logicalBytes: countSchema(z),
    }),
  run: async (environment, input) => {
    const { drillBackup } = await import('#operations/drill-backup.ts');
    const { findBackup } = await import('#operations/read-catalog.ts');
    const choice = parseBackupChoice(input.arguments['ID']);
    const opened = await openCatalog(environment, readClusterKey(input));
    const repository = { store: opened.store, keyring: requireKeyring(opened) };
    const { id } = findBackup(opened.catalog, choice).entry;
    return { result: await drillBackup(environment.context, repository, environment.scratchServers(), id) };
  },
  render: (result, style) =>
    `Drill ${style.good('passed')}: backup ${style.bold(result.id)} restored in ${formatDuration(result.durationMs)}; ` +
    `${counted(result.rows, 'row')} of ${counted(result.tables, 'table')} compared (${formatSize(result.logicalBytes)})\n`,
});
