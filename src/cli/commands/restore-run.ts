import { backupArgument, parseBackupChoice } from '#cli/catalog.ts';
import { freshnessOptions, readFreshness } from '#cli/freshness.ts';
import { readClusterKey } from '#cli/cluster-key.ts';
import { defineCommand, type Input } from '#cli/command.ts';
import type { Environment } from '#cli/environment.ts';
import { failuresOfOpening } from '#cli/failures.ts';
import { describePlan, planOf } from '#cli/restore-plan-text.ts';
import { counted, formatDuration } from '#cli/output/units.ts';
import { backupIdSchema, countSchema, incarnationSchema } from '#cli/schemas.ts';
import type { BackupId } from '#model/identifiers.ts';
import type { AskedFreshness } from '#operations/hidden-backups.ts';
import type { Repository } from '#operations/open-repository.ts';
import type { RestoreResult } from '#operations/restore.ts';

export const restoreRun = defineCommand({
  noun: 'restore',
  verb: 'run',
  summary: 'restore a backup and serve it in place of the live database',
  description: `Takes a safety backup of what is there, restores the backup into a new database beside the live one, checks every
chunk and counts every row, and only then swaps the two in one step. A failure or a crash anywhere leaves either the old
database serving or the new one complete. The replaced database is kept until "restore cleanup", unless it
holds nothing; "restore rollback" puts it back. Rows without a cluster row are in no safety backup; it says so.

Needs the repository, the key of this host and a database server; the embedded one is made where there is none, so on an
empty machine the repository and the key suffice. Such a machine cannot know whether it is shown the newest backups: it
asks, or takes --cluster-key from the recovery line that every backup prints. A host that was off while the keys were
changed needs it too, unless the live database has the same new key.

What the plan names as in the way ends it. So does (13) another newest backup than the one that was shown, and a manager that does not
pause within a minute.`,
  arguments: [backupArgument],
  options: [
    { flag: '--cluster-key <fingerprint>', help: 'the key of the cluster, from a recovery line' },
    ...freshnessOptions,
    { flag: '--without-safety-backup', help: 'do not back up what is there now, for when that is impossible' },
  ],
  examples: [
    { command: 'enclave-manager restore run latest', means: 'shows the plan and asks' },
    {
      command: 'enclave-manager restore run latest --yes --cluster-key sha256:…',
      means: 'for scripts, also on an empty machine',
    },
  ],
  failures: [...failuresOfOpening.clusterOrImport, 'restore-failed', 'follow-up-incomplete'],
  result: (z) =>
    z.object({
      restoreId: z.string(),
      backupId: backupIdSchema(z),
      sequence: z.int().min(1),
      tables: countSchema(z),
      rows: countSchema(z),
      durationMs: countSchema(z),
      incarnation: incarnationSchema(z),
      safetyBackupId: backupIdSchema(z).nullable(),
      beforeDatabase: z.string().nullable(),
    }),
  run: async (environment, input) => {
    const { restore } = await import('#operations/restore.ts');
    const asked = readOptions(input);
    const choice = parseBackupChoice(input.arguments['ID']);
    const { openRepository } = await import('#operations/open-repository.ts');
    const { openBesideLive } = await import('#operations/bring-keys.ts');
    // Before a server is made for it: a host without a key has nothing to restore.
    const opened = await openRepository(await environment.store(), await environment.sealing(), asked.trust);
    await requireTerminal(environment, opened, choice);
    const host = { ...(await environment.host({ create: true })), store: opened.store, repository: opened };
    const repository = await openBesideLive(host, asked.trust.clusterKey);
    const shown = await showPlan(environment, choice, { repository, ...asked });
    const confirmed = !environment.output.options.yes;
    const result = await restore(
      environment.context,
      { ...host, repository },
      { backup: choice, shown, trust: { ...asked.trust, confirmed }, safetyBackup: asked.safetyBackup },
    );
    return { result };
  },
  render: (result, style) => {
    const kept =
      result.beforeDatabase === null
        ? ''
        : `The replaced database is kept as ${result.beforeDatabase}: restore rollback, restore cleanup\n`;
    return (
      `${style.good('Restored')} ${style.bold(result.backupId)} in ${formatDuration(result.durationMs)}: ` +
      `${counted(result.rows, 'row')} of ${counted(result.tables, 'table')}, counted and in place of the live database\n${safety(result)}${kept}`
    );
  },
});

function safety({ safetyBackupId, beforeDatabase }: Pick<RestoreResult, 'safetyBackupId' | 'beforeDatabase'>): string {
  if (safetyBackupId !== null) return `What was there before is also in backup ${safetyBackupId}\n`;
  return beforeDatabase === null ? '' : 'What was there before is in no safety backup\n';
}

/** Shows the plan and asks; throws what stands in its way. Gives the backup that was shown. */
async function showPlan(
  environment: Environment,
  choice: BackupId | 'latest',
  {
    repository,
    trust,
    safetyBackup,
  }: { readonly repository: Repository; readonly trust: AskedTrust; readonly safetyBackup: boolean },
): Promise<BackupId> {
  const { clusterKey, ...accepted } = trust;
  const options = { create: true, repository, clusterKey, accepted, safetyBackup };
  const { plan, refusal } = await planOf(environment, choice, options);
  const { output } = environment;
  if (refusal !== undefined) {
    output.showPlan(describePlan(plan));
    throw refusal;
  }
  const question = `Restore ${plan.backup.id} and serve it${plan.server?.live === null ? '' : ' in place of what serves now'}?`;
  await output.confirm(describePlan(plan), question, environment.context.signal);
  return plan.backup.id;
}

type AskedTrust = AskedFreshness & { readonly clusterKey?: string };

function readOptions(input: Input) {
  const { options } = input;
  const clusterKey = readClusterKey(input);
  return {
    safetyBackup: options['without-safety-backup'] !== true,
    trust: {
      ...(clusterKey === undefined ? {} : { clusterKey }),
      ...readFreshness(input),
    },
  };
}

/** A backup that is not there is said first: with --yes it would not be there either. */
async function requireTerminal(
  { output }: Environment,
  { store, keyring }: Repository,
  choice: BackupId | 'latest',
): Promise<void> {
  try {
    output.requireTerminal();
  } catch (error) {
    const { findBackup, readCatalog } = await import('#operations/read-catalog.ts');
    findBackup(await readCatalog(store, keyring), choice);
    throw error;
  }
}
