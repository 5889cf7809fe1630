import type { UnknownCause } from '#model/unknown.ts';
import type { CatalogEntry } from '#model/backup.ts';
import { clusterKeyOption, lookAtCatalog, unknownOf } from '#cli/catalog.ts';
import { readClusterKey } from '#cli/cluster-key.ts';
import { defineCommand } from '#cli/command.ts';
import { failuresOfOpening } from '#cli/failures.ts';
import { formatTable } from '#cli/output/table.ts';
import { formatCount, formatSize, formatTime } from '#cli/output/units.ts';
import { orUnknown } from '#cli/or-unknown.ts';
import { listedBackupSchema, unknownSchema, whyUnproved } from '#cli/schemas.ts';

export const backupList = defineCommand<ReturnType<typeof listed>[]>({
  noun: 'backup',
  verb: 'list',
  summary: 'list the backups in the repository, newest first',
  description: `Lists what lies in the repository: when each backup was taken, how much it holds, whether it was signed by
this cluster, when it was read back, when a restore of it was last tried, and how many hosts can open it.

Needs the repository only, no database. On a host without a key, or where the cluster key is newer than what
this host knows, everything is shown as not known to be authentic: JSON then says why in "unknown", and has null, or no host,
for what that leaves unknown. --cluster-key names the key from the newest recovery line.
Changes nothing in it; this host remembers what it read, and reads what is new or changed the next time.`,
  options: [clusterKeyOption],
  examples: [
    { command: 'enclave-manager backup list', means: 'a table for people' },
    { command: 'enclave-manager backup list --json | jq -r ".[0].id"', means: 'the id of the newest backup' },
  ],
  failures: failuresOfOpening.repository,
  result: (z) => z.array(listedBackupSchema(z).extend({ unknown: unknownSchema(z, whyUnproved) })),
  run: async (environment, input) => {
    const look = async () => await lookAtCatalog(environment, readClusterKey(input));
    const opened = await orUnknown('which backups there are', look);
    const unknown = unknownOf(opened);
    const result = opened.catalog.backups.map(({ entry }) => listed(entry, unknown));
    return result.length === 0 && opened.isDoubtful ? { result, text: noneListed } : { result };
  },
  render: (backups, style) => {
    if (backups.length === 0) return 'There is no backup. Take one: enclave-manager backup create\n';
    return formatTable(
      [
        { title: 'ID', cell: ({ id }) => id },
        { title: 'KIND', cell: ({ kind }) => kind },
        { title: 'SEQ', align: 'right', cell: ({ sequence }) => String(sequence) },
        { title: 'ROWS', align: 'right', cell: ({ rows }) => formatCount(rows) },
        { title: 'SIZE', align: 'right', cell: ({ logicalBytes }) => formatSize(logicalBytes) },
        { title: 'AUTHENTIC', cell: ({ authentic }) => authenticity(authentic) },
        { title: 'READ BACK', cell: (backup) => readBack(backup) },
        { title: 'DRILL', cell: (backup) => drillResult(backup) },
        { title: 'HOSTS', align: 'right', cell: (backup) => hosts(backup) },
      ],
      backups,
      style,
    );
  },
});

const noneListed = 'Whether there is a backup is unknown: see the warnings.\n';

/** The fields of the contract, in its order, and why they prove nothing. */
function listed(entry: CatalogEntry, unknown: UnknownCause | null) {
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
    unknown,
  };
}

const authenticity = (authentic: CatalogEntry['authentic']): string =>
  authentic === 'unknown' ? 'unknown' : authentic ? 'yes' : 'NO';

type Listed = ReturnType<typeof listed>;

/** What was proved of a backup, and who opens it, is signed: without a key nobody can tell. */
const never = ({ authentic }: Listed): string => (authentic === 'unknown' ? 'unknown' : 'never');

const readBack = (backup: Listed): string =>
  backup.verified === null ? never(backup) : formatTime(backup.verified.at);

const drillResult = (backup: Listed): string =>
  backup.lastDrill === null ? never(backup) : backup.lastDrill.passed ? 'passed' : 'FAILED';

const hosts = ({ authentic, openableBy }: Listed): string =>
  authentic === 'unknown' ? 'unknown' : String(openableBy.length);
