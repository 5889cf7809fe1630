import { defineCommand } from '#cli/command.ts';
import { failuresOfOpening } from '#cli/failures.ts';
import { counted, formatDuration, formatSize } from '#cli/output/units.ts';
import { recoveryLine } from '#cli/recovery-line.ts';
import {
  backupIdSchema,
  backupKindSchema,
  countSchema,
  fingerprintSchema,
  timeSchema,
  verifiedSchema,
} from '#cli/schemas.ts';

export const backupCreate = defineCommand({
  noun: 'backup',
  verb: 'create',
  summary: 'take a backup now',
  description: `Reads every row of one moment, stores what the repository does not have yet, counts the rows a second time,
confirms every object, reads the new ones back, and only then lists the backup.

Needs the database, the repository and the key of this host. Only one backup or restore runs at a time. Interrupted
anywhere, nothing is listed, and the next backup uses what is already stored. Chunks that were found damaged are stored
anew, which heals older backups too.

An export that was replayed and does not serve yet is first compared with its backup, row by row, as serve does; one that
is incomplete, differs or cannot be compared is not backed up.

Where a restore or an import has begun a newer life of the same data in another database, and that one backs up into this
repository, this one is refused: only one of them is the live one. --take-over says that it is this one.`,
  options: [
    {
      flag: '--take-over',
      help: 'make this database the live one where another has backed up since; the other is refused from then on',
    },
  ],
  examples: [
    { command: 'enclave-manager backup create', means: 'with a progress bar on a terminal' },
    { command: 'enclave-manager backup create --json', means: 'for scripts: one document when it is done' },
  ],
  failures: [...failuresOfOpening.clusterOrImport, 'superseded'],
  result: (z) =>
    z.object({
      id: backupIdSchema(z),
      kind: backupKindSchema(z),
      sequence: z.int().min(1),
      startedAt: timeSchema(z),
      durationMs: countSchema(z),
      tables: countSchema(z),
      rows: countSchema(z),
      logicalBytes: countSchema(z),
      newChunks: countSchema(z),
      newBytes: countSchema(z),
      totalChunks: countSchema(z),
      totalBytes: countSchema(z),
      verified: verifiedSchema(z),
      clusterKey: fingerprintSchema(z),
    }),
  run: async (environment, { options }) => {
    const { createBackup } = await import('#operations/create-backup.ts');
    await environment.store();
    const cluster = await environment.cluster();
    if (options['take-over'] === true) {
      const { takeOver } = await import('#operations/take-over.ts');
      await takeOver(environment.context, cluster);
    }
    const result = await createBackup(environment.context, cluster, { kind: 'manual' });
    environment.output.note(recoveryLine({ ...result, clusterId: cluster.keyring.clusterId }));
    return { result };
  },
  render: (result, style) => {
    const stored =
      result.newChunks === 0
        ? 'nothing new to store'
        : `${counted(result.newChunks, 'new chunk')} stored, ${formatSize(result.newBytes)}`;
    const read = result.verified === null ? 'not read back completely yet' : 'new chunks read back';
    return (
      `${style.good('Backup')} ${style.bold(result.id)} in ${formatDuration(result.durationMs)}: ` +
      `${counted(result.rows, 'row')} of ${counted(result.tables, 'table')}, ${formatSize(result.logicalBytes)}\n` +
      `${stored}; ${counted(result.totalChunks, 'chunk')} in all, ${formatSize(result.totalBytes)}; ${read}\n`
    );
  },
});
