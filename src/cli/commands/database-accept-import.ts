import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { readClusterKey } from '#cli/cluster-key.ts';
import { defineCommand, type Input } from '#cli/command.ts';
import { failuresOfOpening } from '#cli/failures.ts';
import { formatFields } from '#cli/output/table.ts';
import { counted, formatTime } from '#cli/output/units.ts';
import { backupIdSchema, countSchema, fingerprintSchema, incarnationSchema } from '#cli/schemas.ts';
import { epochsUncompared } from '#model/uncompared-epochs.ts';
import type { UnprovedDatabase } from '#operations/accept-database.ts';
import type { ImportCheck } from '#operations/import-check.ts';
import type { OpenedImport } from '#operations/open-import.ts';

export const databaseAcceptImport = defineCommand({
  noun: 'database',
  verb: 'accept-import',
  summary: 'serve a replayed export that the manager does not accept by itself',
  description: `The manager serves a replayed export by itself when every row is that of the backup in the repository. Where there is no
repository, where rows differ, or where this host remembers no cluster, a person decides: this command compares what can
be compared, shows what it found, asks, and makes the database serve. The audit log keeps who named which key, and every
difference.

A database that was copied by SQL or by hand, as by pg_dump or a major upgrade of the server, or that is from before the keys
changed, has no proof that it is this cluster's where it lies; it waits for this command as well.

A replay that has not ended, a manifest or keys that are not authentic, and tables of another shape are never accepted. An
export older than the newest backup that this host has seen needs --older. So do rows from before the newest cluster key that it has
seen, where nothing leads on to that one any more: the older key counts from then on.

Where rows cannot be compared with the backup, secrets sealed before a host was evicted stay unreadable, because it could have made them;
the command names them. "restore run" brings those of a backup; otherwise set them anew.

Needs the database and the key of this host.`,
  options: [
    { flag: '--cluster-key <fingerprint>', help: 'the key of the cluster, from the newest recovery line' },
    { flag: '--older', help: 'older than the newest backup or cluster key that this host has seen, and that is meant' },
  ],
  examples: [
    {
      command: 'enclave-manager database accept-import --cluster-key sha256:…',
      means: 'shows what was found and asks',
    },
    { command: 'enclave-manager database accept-import --cluster-key sha256:… --yes', means: 'for scripts' },
  ],
  failures: failuresOfOpening.clusterOrImport,
  result: (z) =>
    z.object({
      backupId: backupIdSchema(z).nullable(),
      sequence: countSchema(z).nullable(),
      clusterKey: fingerprintSchema(z),
      incarnation: incarnationSchema(z),
      compared: z.boolean(),
      notCompared: z.string().nullable(),
      differences: z.array(z.string()),
    }),
  run: async (environment, input) => {
    const trust = readTrust(input);
    environment.output.requireTerminal();
    const { finishImport } = await import('#operations/finish-import.ts');
    const confirm = async (opened: OpenedImport, check: ImportCheck): Promise<void> =>
      await environment.output.confirm(describe(opened, check), 'Serve it as it is?', environment.context.signal);
    const host = await environment.host();
    const finished = await finishImport(environment.context, host, { trust, confirm });
    if (finished !== undefined) {
      const { backupId, sequence, clusterKey, incarnation, check } = finished;
      return { result: { backupId, sequence, clusterKey, incarnation, ...describeCheck(check) } };
    }
    const { acceptDatabase, notComparedWithout } = await import('#operations/accept-database.ts');
    const accepted = await acceptDatabase(environment.context, host, {
      clusterKey: trust.clusterKey,
      older: trust.older,
      confirm: async (found) =>
        await environment.output.confirm(
          describeUnproved(found, notComparedWithout),
          'Serve it as it is?',
          environment.context.signal,
        ),
    });
    if (accepted === undefined) {
      throw new EnclaveManagerError(
        'not-found',
        `the database "${host.server.liveName}" at ${host.server.location} holds no import to accept`,
        {
          hint: 'See what it holds: database status. Where it was accepted before, and this host still refuses its key: keys status --cluster-key FINGERPRINT.',
        },
      );
    }
    const { clusterKey, incarnation, differences } = accepted;
    const check = { notCompared: notComparedWithout, differences };
    return { result: { backupId: null, sequence: null, clusterKey, incarnation, ...describeCheck(check) } };
  },
  render: ({ backupId, differences, compared }, style) => {
    const how = !compared
      ? 'its rows were not compared'
      : differences.length === 0
        ? 'every row is that of the backup'
        : `with ${counted(differences.length, 'difference')}`;
    const what = backupId === null ? 'the database' : `the import of backup ${style.bold(backupId)}`;
    return `${style.good('Accepted')} ${what}: ${how}. The manager serves it now\n`;
  },
});

function readTrust(input: Input) {
  const clusterKey = readClusterKey(input);
  if (clusterKey === undefined) {
    throw new EnclaveManagerError('usage', 'no cluster key was given', {
      hint: 'Add --cluster-key with the fingerprint from the newest recovery line: every backup prints one.',
    });
  }
  return { kind: 'accepted' as const, clusterKey, older: input.options['older'] === true };
}

function describeCheck({ notCompared, differences }: Pick<ImportCheck, 'notCompared' | 'differences'>) {
  return { compared: notCompared === null, notCompared, differences: [...differences] };
}

function describeUnproved({ keyring, differences, clusterKeyGivenUp }: UnprovedDatabase, notCompared: string): string {
  return formatFields([
    ['Backup', 'unknown'],
    ...describeKeys(keyring),
    ...describeGivenUp(clusterKeyGivenUp),
    ['Rows', `not compared: ${notCompared}`],
    ...differences.slice(0, 20).map((text): [string, string] => ['Differs', text]),
  ]);
}

const describeKeys = ({ clusterId, fingerprint, membership }: OpenedImport['keyring']): [string, string][] => [
  ['Cluster', clusterId],
  ['Cluster key', fingerprint],
  ['Membership', `number ${membership.number}: ${membership.nodes.map(({ name }) => name).join(', ')}`],
];

const describeGivenUp = (newer: string | undefined): [string, string][] =>
  newer === undefined
    ? []
    : [['Given up', `the newer key ${newer}, which this host has seen; hosts evicted with it are members again`]];

function describe(opened: OpenedImport, { notCompared, differences, clusterKeyGivenUp }: ImportCheck): string {
  const { manifest, keyring } = opened;
  const { id, sequence, startedAt, rows } = manifest.summary;
  const found =
    notCompared === null
      ? differences.length === 0
        ? 'every row is that of the backup'
        : differences.slice(0, 20).join('; ')
      : `not compared: ${notCompared}`;
  return formatFields([
    ['Backup', `${id}, sequence ${sequence}, taken ${formatTime(startedAt)}, ${counted(rows, 'row')}`],
    ...describeKeys(keyring),
    ...describeGivenUp(clusterKeyGivenUp),
    ['Rows', found],
    ...describeSecrets(opened, notCompared),
  ]);
}

/** Whoever accepts it is told before. */
function describeSecrets({ manifest, keyring }: OpenedImport, notCompared: string | null): [string, string][] {
  if (notCompared === null || epochsUncompared(keyring, manifest).length === manifest.summary.epochs.length) return [];
  return [
    ['Secrets', 'stay unreadable: hosts evicted since the backup could have made them, and nothing was compared'],
  ];
}
