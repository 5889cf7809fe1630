import { clusterKeyOption, openProvedKeys } from '#cli/catalog.ts';
import { readClusterKey } from '#cli/cluster-key.ts';
import { defineCommand } from '#cli/command.ts';
import type { Environment } from '#cli/environment.ts';
import { formatTable } from '#cli/output/table.ts';
import { counted, formatSize, formatTime } from '#cli/output/units.ts';
import { backupIdSchema, backupKindSchema, countSchema, timeSchema } from '#cli/schemas.ts';
import type { Style } from '#cli/output/style.ts';
import type { Zod } from '#cli/command.ts';
import { failuresOfOpening } from '#cli/failures.ts';
import { serverIfAny } from '#cli/restore-plan-text.ts';
import { EnclaveManagerError, isEnclaveManagerError } from '#errors/enclave-manager-error.ts';
import type { OpenedKeyring } from '#keys/keyring.ts';
import { keepReasons } from '#model/retention.ts';
import type { Database, DatabaseServer } from '#ports/database.ts';
import type { PruneResult, PruneOptions } from '#operations/prune.ts';
import type { Tally } from '#operations/survey-objects.ts';

export const backupPrune = defineCommand<PruneResult>({
  noun: 'backup',
  verb: 'prune',
  summary: 'remove what the retention policy drops and no backup needs',
  description: `Takes backups that no number of the policy (ENCLAVE_MANAGER_KEEP_LAST … _KEEP_YEARLY, _KEEP_SAFETY) keeps off the list, and
records the objects that no backup needs any more. At least one grace later (ENCLAVE_MANAGER_PRUNE_GRACE, by the clock of the
repository) it deletes what was recorded and is still not needed. Without a policy every backup stays.

The newest backup, the newest that was read back, the newest that was drilled and both sides of a fork always stay. Backups
that were never read back count for nothing. It stops where a manifest cannot be read or is not authentic, where newer
backups are hidden, and where a table is empty now whose rows would be in no backup any more.

Needs the database, the repository and the key of this host; --dry-run needs no database and changes nothing;
like what reads backups without one, it trusts no newer key than this host has seen, unless --cluster-key names it.`,
  options: [
    { flag: '--dry-run', help: 'say what would be removed, and why the others stay; change nothing' },
    {
      flag: '--accept-emptied-tables',
      help: 'go on although rows of tables that are empty now are in no backup after it',
    },
    { ...clusterKeyOption, help: `with --dry-run, ${clusterKeyOption.help}` },
  ],
  examples: [
    {
      command: 'enclave-manager backup prune --dry-run --keep-daily 7 --keep-weekly 5',
      means: 'what this policy would remove',
    },
    { command: 'enclave-manager backup prune', means: 'lists what it would remove and asks' },
    { command: 'enclave-manager backup prune --yes --json', means: 'for scripts' },
  ],
  failures: [...failuresOfOpening.clusterOrImport, 'superseded'],
  result: (z) =>
    z.object({
      dryRun: z.boolean(),
      removed: z.array(prunedSchema(z)),
      kept: z.array(prunedSchema(z).extend({ reasons: z.array(z.enum(keepReasons)) })),
      forks: z.array(z.string()),
      lostRows: z.array(z.string()),
      stored: tallySchema(z),
      condemned: tallySchema(z),
      deleted: tallySchema(z),
      inGrace: tallySchema(z),
      awaitingReadBack: tallySchema(z),
      left: tallySchema(z),
      condemnedDocumentsRemoved: countSchema(z),
      verificationsRemoved: countSchema(z),
    }),
  run: async (environment, input) => {
    const { options } = input;
    const clusterKey = readClusterKey(input);
    const { previewPrune, prune } = await import('#operations/prune.ts');
    const { context, output, configuration } = environment;
    const settings: PruneOptions = {
      ...configuration.pruning,
      cause: 'manual',
      acceptEmptiedTables: options['accept-emptied-tables'] === true,
    };
    if (options['dry-run'] === true) {
      const repository = await openProvedKeys(environment, clusterKey);
      const live = await liveDatabaseIfAny(environment, repository.keyring);
      try {
        const localState = environment.localState();
        return { result: await previewPrune(context, { ...repository, ...live, localState }, settings) };
      } finally {
        await live?.database.close();
      }
    }
    if (clusterKey !== undefined) {
      throw new EnclaveManagerError('usage', '--cluster-key is of a --dry-run, which needs no database', {
        hint: 'Leave it out: what removes backups has the keys of its live database.',
      });
    }
    output.requireTerminal();
    const store = await environment.store();
    const cluster = await environment.cluster();
    const preview = await previewPrune(context, { ...cluster, store }, settings);
    const question = `Remove ${counted(preview.removed.length, 'backup')} and delete ${counted(preview.deleted.objects, 'object')}?`;
    await output.confirm(describePreview(preview), question, context.signal);
    return { result: await prune(context, cluster, settings) };
  },
  render: (result, style) => (result.dryRun ? describeDryRun(result, style) : describeRun(result, style)),
});

/** The live database of the cluster, where it is at hand: beside one of an older life a prune is refused. */
async function liveDatabaseIfAny(
  environment: Environment,
  { clusterId }: OpenedKeyring,
): Promise<{ readonly database: Database; readonly server: DatabaseServer } | undefined> {
  const { readLiveCluster } = await import('#operations/read-live-cluster.ts');
  try {
    const server = await serverIfAny(environment, 'previewed');
    const row = server && (await readLiveCluster({ server }));
    if (server === undefined || row?.clusterId !== clusterId) return undefined;
    return { server, database: server.open(server.liveName, { connections: 1 }) };
  } catch (error) {
    if (!isEnclaveManagerError(error) || environment.context.signal.aborted) throw error;
    environment.output.warn(`previewed without the database: ${error.message}`);
    return undefined;
  }
}

const prunedSchema = (z: Zod) =>
  z.object({ id: backupIdSchema(z), kind: backupKindSchema(z), sequence: z.int().min(1), startedAt: timeSchema(z) });

const tallySchema = (z: Zod) => z.object({ objects: countSchema(z), bytes: countSchema(z) });

const size = ({ objects, bytes }: Tally): string => `${counted(objects, 'object')}, ${formatSize(bytes)}`;

function describePreview({ removed, condemned, deleted, lostRows }: PruneResult): string {
  const lines = removed.map(({ id, kind, startedAt }) => `  - ${id}, ${kind}, of ${formatTime(startedAt)}\n`);
  const warnings = lostRows.map((sentence) => `Warning: ${sentence}\n`);
  return (
    `Removes ${counted(removed.length, 'backup')}${lines.length === 0 ? '' : ':'}\n${lines.join('')}` +
    `Records to be deleted after the grace: ${size(condemned)}\nDeletes what was recorded before: ${size(deleted)}\n${warnings.join('')}`
  );
}

function describeDryRun(result: PruneResult, style: Style): string {
  const rows = [
    ...result.removed.map((backup) => ({ ...backup, verdict: 'remove', why: 'no rule keeps it' })),
    ...result.kept.map((backup) => ({ ...backup, verdict: 'keep', why: backup.reasons.join(', ') })),
  ];
  const table = formatTable(
    [
      { title: 'ID', cell: ({ id }) => id },
      { title: 'KIND', cell: ({ kind }) => kind },
      { title: 'SEQ', align: 'right', cell: ({ sequence }) => String(sequence) },
      { title: 'WOULD', cell: ({ verdict }) => verdict },
      { title: 'WHY', cell: ({ why }) => why },
    ],
    rows.toSorted((a, b) => b.sequence - a.sequence),
    style,
  );
  return (
    `${rows.length === 0 ? 'There is no backup yet\n' : table}\nNothing was changed. A prune would remove ${counted(result.removed.length, 'backup')},\n` +
    `record to be deleted after the grace: ${size(result.condemned)}\ndelete of what was recorded before: ${size(result.deleted)}\n` +
    `leave in grace: ${size(result.inGrace)}\n${notes(result, style)}`
  );
}

function describeRun(result: PruneResult, style: Style): string {
  return (
    `${style.good('Pruned')}: ${counted(result.removed.length, 'backup')} removed, ${result.kept.length} kept\n` +
    `Recorded to be deleted after the grace: ${size(result.condemned)}\n` +
    `Deleted: ${size(result.deleted)}; where a bucket keeps versions or locks, their space is free only when those end\n` +
    `Still in grace: ${size(result.inGrace)}\n${notes(result, style)}`
  );
}

function notes({ forks, lostRows, awaitingReadBack, left }: PruneResult, style: Style): string {
  const lines = [
    ...forks.map((fork) => `${fork}; both are kept`),
    ...lostRows,
    ...(awaitingReadBack.objects === 0
      ? []
      : [`${size(awaitingReadBack)} stay until what backups use instead is read back: backup verify`]),
    ...(left.objects === 0 ? [] : [`${size(left)} are left for another run`]),
  ];
  return lines.map((line) => `${style.warn('Warning:')} ${line}\n`).join('');
}
