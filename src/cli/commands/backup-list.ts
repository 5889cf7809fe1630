import type { CatalogEntry } from '#model/backup.ts';
import { openCatalog } from '#cli/catalog.ts';
import { defineCommand } from '#cli/command.ts';
import { formatTable } from '#cli/output/table.ts';
import { formatCount, formatSize, formatTime } from '#cli/output/units.ts';
import { listedBackupSchema } from '#cli/schemas.ts';

export const backupList = defineCommand<ReturnType<typeof listed>[]>({
  noun: 'backup',
  verb: 'list',
  summary: 'list the backups in the repository, newest first',
  description: `Lists what lies in the repository: when each backup was taken, how much it holds, whether it was signed by
this cluster, when it was read back, when a restore of it was last tried, and how many hosts can open it.

Needs the repository only, no database. On a host without a key everything is shown as not known to be authentic.
Changes nothing.`,
  examples: [
    { command: 'enclave-manager backup list', means: 'a table for people' },
    { command: 'enclave-manager backup list --json | jq -r ".[0].id"', means: 'the id of the newest backup' },
  ],
  failures: ['not-found', 'repository-unreachable', 'version-incompatible'],
  result: (z) => z.array(listedBackupSchema(z)),
  run: async (environment) => {
    const { catalog } = await openCatalog(environment);
    return { result: catalog.backups.map(({ entry }) => listed(entry)) };
  },
  render: (backups, style) => {
    if (backups.length === 0) return 'There is no backup yet. Take one: enclave-manager backup create\n';
    return formatTable(
      [
        { title: 'ID', cell: ({ id }) => id },
        { title: 'KIND', cell: ({ kind }) => kind },
        { title: 'SEQ', align: 'right', cell: ({ sequence }) => String(sequence) },
        { title: 'ROWS', align: 'right', cell: ({ rows }) => formatCount(rows) },
        { title: 'SIZE', align: 'right', cell: ({ logicalBytes }) => formatSize(logicalBytes) },
        { title: 'AUTHENTIC', cell: ({ authentic }) => authenticity(authentic) },
        { title: 'READ BACK', cell: ({ verified }) => (verified === null ? 'never' : formatTime(verified.at)) },
        { title: 'DRILL', cell: ({ lastDrill }) => drillResult(lastDrill) },
        { title: 'HOSTS', align: 'right', cell: ({ openableBy }) => String(openableBy.length) },
      ],
      backups,
      style,
    );
  },
});

/** The fields of the contract, in its order. */
function listed(entry: CatalogEntry) {
  return {
    id: entry.id,
    kind: entry.kind,
    sequence: entry.sequence,
    startedAt: entry.startedAt,
    rows: entry.rows,
    logicalBytes: entry.logicalBytes,
    epochs: entry.epochs,
    schemaVersion: entry.schemaVersion,
    authentic: entry.authentic,
    verified: entry.verified,
    lastDrill: entry.lastDrill,
    openableBy: entry.openableBy,
  };
}

const authenticity = (authentic: CatalogEntry['authentic']): string =>
  authentic === 'unknown' ? 'unknown' : authentic ? 'yes' : 'NO';

const drillResult = (drill: CatalogEntry['lastDrill']): string =>
  drill === null ? 'never' : drill.passed ? 'passed' : 'FAILED';
