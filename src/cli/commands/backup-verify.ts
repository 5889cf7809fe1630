import { backupArgument, clusterKeyOption, openCatalog, parseBackupChoice, requireKeyring } from '#cli/catalog.ts';
import { readClusterKey } from '#cli/cluster-key.ts';
import { defineCommand } from '#cli/command.ts';
import { failuresOfOpening } from '#cli/failures.ts';
import { counted, formatSize } from '#cli/output/units.ts';
import { backupIdSchema, countSchema, timeSchema } from '#cli/schemas.ts';

export const backupVerify = defineCommand({
  noun: 'backup',
  verb: 'verify',
  summary: 'read every chunk of a backup back and check it',
  description: `Reads every chunk of the backup, decrypts it and compares the identity of its rows; the signed result is stored
in the repository. Chunks found damaged are stored anew by the next backup.

Needs the repository and the key of this host, no database. Reads as much as the backup is large; a drill proves more.`,
  arguments: [backupArgument],
  options: [clusterKeyOption],
  examples: [{ command: 'enclave-manager backup verify latest', means: 'read the newest backup back' }],
  failures: [...failuresOfOpening.repositoryWithKeys, 'not-permitted'],
  result: (z) =>
    z.object({
      id: backupIdSchema(z),
      at: timeSchema(z),
      chunks: countSchema(z),
      bytes: countSchema(z),
      healed: z.array(z.object({ object: z.string(), reason: z.string(), healedBy: z.string() })),
    }),
  run: async (environment, input) => {
    const { findBackup } = await import('#operations/read-catalog.ts');
    const { refuseLost, verifyBackups } = await import('#operations/verify-backup.ts');
    const choice = parseBackupChoice(input.arguments['ID']);
    const opened = await openCatalog(environment, readClusterKey(input));
    const repository = { store: opened.store, keyring: requireKeyring(opened) };
    const { id } = findBackup(opened.catalog, choice).entry;
    const verification = await verifyBackups(environment.context, repository, [id]);
    refuseLost(verification);
    const healed = verification.bad.flatMap(({ name, reason, healedBy }) =>
      healedBy === undefined ? [] : [{ object: name, reason, healedBy }],
    );
    return { result: { id, at: verification.at, chunks: verification.chunks, bytes: verification.bytes, healed } };
  },
  render: (result, style) => {
    const bad = result.healed.map(
      ({ object, reason }) => `${style.warn('Damaged:')} ${object} (${reason}); another object has its rows\n`,
    );
    return `Backup ${style.bold(result.id)} is ${style.good('good')}: ${counted(result.chunks, 'chunk')} read, ${formatSize(result.bytes)}\n${bad.join('')}`;
  },
});
