import { isEnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { backupArgument, clusterKeyOption, openCatalog, parseBackupChoice, unknownOf } from '#cli/catalog.ts';
import { readClusterKey } from '#cli/cluster-key.ts';
import { defineCommand } from '#cli/command.ts';
import { failuresOfOpening } from '#cli/failures.ts';
import { formatFields, formatTable } from '#cli/output/table.ts';
import { counted, formatCount, formatSize, formatTime } from '#cli/output/units.ts';
import { catalogEntrySchema, countSchema, unknownSchema, whyUnproved } from '#cli/schemas.ts';

export const backupShow = defineCommand({
  noun: 'backup',
  verb: 'show',
  summary: 'show everything about one backup',
  description: `Shows what one backup holds, table by table, what it needs to be restored, and when it was read back and tried.

Needs the repository only; the tables are encrypted, so they are shown on an enrolled host only. Changes nothing.`,
  arguments: [backupArgument],
  options: [clusterKeyOption],
  examples: [
    { command: 'enclave-manager backup show latest', means: 'the newest backup' },
    { command: 'enclave-manager backup show 20261122T000000Z-k3f9q2 --json', means: 'one backup, as JSON' },
  ],
  failures: [...failuresOfOpening.repository, 'no-key'],
  result: (z) =>
    catalogEntrySchema(z).extend({
      tables: z.array(z.object({ name: z.string(), rows: countSchema(z), chunks: countSchema(z) })).nullable(),
      warnings: z.array(z.string()),
      unknown: unknownSchema(z, whyUnproved),
    }),
  run: async (environment, input) => {
    const { findBackup } = await import('#operations/read-catalog.ts');
    const { readManifest } = await import('#operations/read-manifest.ts');
    const choice = parseBackupChoice(input.arguments['ID']);
    const opened = await openCatalog(environment, readClusterKey(input));
    const { store, keys, catalog } = opened;
    const { entry } = findBackup(catalog, choice);
    const { epochs, openableBy, ...facts } = entry;
    const copied = { ...facts, epochs: [...epochs], openableBy: [...openableBy], unknown: unknownOf(opened) };
    if (isEnclaveManagerError(keys) || !openableBy.includes(keys.nodeId))
      return { result: { ...copied, tables: null, warnings: [] } };
    const manifest = await readManifest(store, keys, entry.id);
    const tables = manifest.tables.map(({ name, rows, chunks }) => ({ name, rows, chunks: chunks.length }));
    return { result: { ...copied, tables, warnings: [...manifest.warnings] } };
  },
  render: (backup, style) => {
    const { verified, lastDrill } = backup;
    const never = backup.authentic === 'unknown' ? 'unknown on this host' : 'never';
    const nobody = backup.authentic === 'unknown' ? 'unknown' : 'no host';
    const fields = formatFields([
      ['Backup', backup.id],
      ['Kind', `${backup.kind}, sequence ${backup.sequence}`],
      ['Cluster', backup.clusterId],
      ['Taken', `${formatTime(backup.startedAt)} to ${formatTime(backup.endedAt)}`],
      ['Holds', `${counted(backup.rows, 'row')}, ${formatSize(backup.logicalBytes)}`],
      ['Stored as', `${counted(backup.chunks, 'chunk')}, ${formatSize(backup.storedBytes)}, shared with other backups`],
      ['Made by', `Enclave Manager ${backup.productVersion}, schema ${backup.schemaVersion}, ${backup.engine}`],
      ['Authentic', backup.authentic === 'unknown' ? 'unknown on this host' : backup.authentic ? 'yes' : 'NO'],
      [
        'Read back',
        verified === null
          ? never
          : `${formatTime(verified.at)}, every chunk since ${formatTime(verified.oldestReadAt)}`,
      ],
      [
        'Last drill',
        lastDrill === null ? never : `${lastDrill.passed ? 'passed' : 'FAILED'} at ${formatTime(lastDrill.at)}`,
      ],
      ['Opens on', backup.openableBy.length === 0 ? nobody : backup.openableBy.join(', ')],
    ]);
    if (backup.tables === null) return fields;
    const tables = formatTable(
      [
        { title: 'TABLE', cell: ({ name }) => name },
        { title: 'ROWS', align: 'right', cell: ({ rows }) => formatCount(rows) },
        { title: 'CHUNKS', align: 'right', cell: ({ chunks }) => formatCount(chunks) },
      ],
      backup.tables,
      style,
    );
    return `${fields}\n${tables}${backup.warnings.map((warning) => `${style.warn('Warning:')} ${warning}\n`).join('')}`;
  },
});
