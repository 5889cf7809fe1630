import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { backupArgument, clusterKeyOption, openCatalog, parseBackupChoice, requireKeyring } from '#cli/catalog.ts';
import { readClusterKey } from '#cli/cluster-key.ts';
import { defineCommand, type Input } from '#cli/command.ts';
import type { Environment } from '#cli/environment.ts';
import { failuresOfOpening } from '#cli/failures.ts';
import { counted, formatSize } from '#cli/output/units.ts';
import { backupIdSchema, countSchema } from '#cli/schemas.ts';
import type { ExportedSql } from '#operations/export-sql.ts';
import type { ByteSink } from '#ports/byte-sink.ts';

export const backupExport = defineCommand({
  noun: 'backup',
  verb: 'export',
  summary: 'write a backup as SQL that psql replays',
  description: `Writes the backup as SQL that PostgreSQL and CockroachDB replay into an empty database, every chunk authenticated before
its rows are written. The manager that is then started on that database compares every row with the backup, brings keys
and nodes to what they are today, and serves. "restore run" does all of that by itself, and keeps what it replaces.

What it writes can be read by anybody: names, events, hashes. Secrets stay sealed for the enrolled hosts. The file has mode
0600, never replaces another, and is whole or not there.

Needs the repository and the key of this host, no database.`,
  arguments: [backupArgument],
  options: [
    { flag: '--format <format>', help: 'sql, the only one' },
    { flag: '--output <file>', help: 'the new file; standard output without it, or for -' },
    clusterKeyOption,
  ],
  examples: [
    { command: 'enclave-manager backup export latest --format sql --output malbork.sql', means: 'into a file' },
    {
      command: 'enclave-manager backup export latest --format sql | psql -v ON_ERROR_STOP=1 "$URL"',
      means: 'into an empty database',
    },
  ],
  failures: [...failuresOfOpening.repositoryWithKeys, 'not-permitted'],
  result: (z) =>
    z.object({
      id: backupIdSchema(z),
      output: z.string(),
      tables: countSchema(z),
      rows: countSchema(z),
      bytes: countSchema(z),
      statements: countSchema(z),
      healed: z.array(z.object({ object: z.string(), reason: z.string(), healedBy: z.string() })),
    }),
  run: async (environment, input) => {
    const output = readOptions(environment, input);
    const wanted = { choice: parseBackupChoice(input.arguments['ID']), clusterKey: readClusterKey(input) };
    // Before the repository is read: a terminal or a taken name is known at once.
    const sink = output === null ? environment.output.dataSink({ onTerminal: isDash(input) }) : null;
    const exported =
      output === null ? await exportTo(environment, wanted, sink!) : await exportToFile(environment, wanted, output);
    const { healed, ...facts } = exported;
    environment.output.note(readable);
    if (output === null) return {};
    const found = healed.flatMap(({ name, reason, healedBy }) =>
      healedBy === undefined ? [] : [{ object: name, reason, healedBy }],
    );
    return { result: { ...facts, output, healed: found } };
  },
  render: ({ id, output, tables, rows, bytes }, style) =>
    `${style.good('Wrote')} backup ${style.bold(id)} to ${output}: ${counted(rows, 'row')} of ${counted(tables, 'table')}, ${formatSize(bytes)}\n`,
});

interface Wanted {
  readonly choice: ReturnType<typeof parseBackupChoice>;
  readonly clusterKey: string | undefined;
}

const readable =
  'Anybody who has this export reads its names, events and hashes; the secrets in it are sealed. Keep it as you keep backups.';

const isDash = ({ options }: Input): boolean => options['output'] === '-';

/** The file to write, `null` for standard output. */
function readOptions({ output }: Environment, { options }: Input): string | null {
  const { format, output: file } = options;
  if (format !== 'sql') {
    const message = typeof format === 'string' ? `there is no format "${format.slice(0, 40)}"` : 'no format was given';
    throw new EnclaveManagerError('usage', message, { hint: 'Add --format sql.' });
  }
  if (typeof file === 'string' && file !== '-' && file !== '') return file;
  if (!output.options.json) return null;
  throw new EnclaveManagerError('usage', 'with --json standard output holds one document, not an export', {
    hint: 'Name a file: --output FILE',
  });
}

async function exportToFile(environment: Environment, wanted: Wanted, path: string): Promise<ExportedSql> {
  const file = await environment.createOutputFile(path);
  try {
    const exported = await exportTo(environment, wanted, file);
    await file.publish();
    environment.context.crashPoints.reach('export.published');
    return exported;
  } finally {
    await file.discard();
  }
}

async function exportTo(
  environment: Environment,
  { choice, clusterKey }: Wanted,
  sink: ByteSink,
): Promise<ExportedSql> {
  const { findBackup } = await import('#operations/read-catalog.ts');
  const { exportSql } = await import('#operations/export-sql.ts');
  const opened = await openCatalog(environment, clusterKey);
  const repository = { store: opened.store, keyring: requireKeyring(opened) };
  const { id } = findBackup(opened.catalog, choice).entry;
  return await exportSql(environment.context, repository, id, sink);
}
