import type { DatabaseStatus } from '#operations/database-status.ts';
import { defineCommand } from '#cli/command.ts';
import { failuresOfOpening } from '#cli/failures.ts';
import { formatFields } from '#cli/output/table.ts';
import { counted, formatSize, formatTime } from '#cli/output/units.ts';
import { backupIdSchema, countSchema, incarnationSchema, leftDatabaseSchema, timeSchema } from '#cli/schemas.ts';

export const databaseStatus = defineCommand<DatabaseStatus>({
  noun: 'database',
  verb: 'status',
  summary: 'show the database: server, schema, managers on it, leftovers',
  description: `Shows which server and database are in use, the schema there and the one of this program, which managers run on it,
and what restores left behind.

Needs the database, no key. Changes nothing.`,
  examples: [{ command: 'enclave-manager database status', means: 'is the database there, and which schema has it' }],
  failures: [...failuresOfOpening.server, 'damaged'],
  result: (z) =>
    z.object({
      location: z.string(),
      engine: z.string(),
      name: z.string(),
      exists: z.boolean(),
      sizeBytes: countSchema(z),
      schemaVersion: countSchema(z),
      programSchemaVersion: countSchema(z),
      cluster: z.object({ clusterId: z.uuid(), state: z.string(), incarnation: incarnationSchema(z) }).nullable(),
      import: z
        .object({
          state: z.enum(['begun', 'complete', 'unreadable']),
          backupId: backupIdSchema(z).nullable(),
          sequence: z.int().min(1).nullable(),
          startedAt: timeSchema(z).nullable(),
          clusterId: z.uuid().nullable(),
        })
        .nullable(),
      servers: z.array(
        z.object({ host: z.string(), processId: countSchema(z), productVersion: z.string(), startedAt: timeSchema(z) }),
      ),
      missingPrivileges: z.array(z.string()),
      leftDatabases: z.array(leftDatabaseSchema(z)),
      unfinishedSwap: z.object({ restoreId: z.string(), staging: z.string(), before: z.string() }).nullable(),
    }),
  run: async (environment) => {
    const { readDatabaseStatus } = await import('#operations/database-status.ts');
    return { result: await readDatabaseStatus(await environment.server()) };
  },
  render: (status) =>
    formatFields([
      ['Database', `"${status.name}" at ${status.location}`],
      ['Engine', status.engine],
      ['Size', status.exists ? formatSize(status.sizeBytes) : 'there is no such database yet'],
      ['Schema', schema(status)],
      [
        'Cluster',
        status.cluster === null
          ? 'none'
          : `${status.cluster.clusterId}, incarnation ${status.cluster.incarnation.number}`,
      ],
      ...(status.import === null ? [] : [['Import', importText(status.import)] as const]),
      ...(status.unfinishedSwap === null ? [] : [['Swap', swapText(status.unfinishedSwap)] as const]),
      ...status.servers.map(
        (server) =>
          ['Manager', `${server.host}, process ${server.processId}, since ${formatTime(server.startedAt)}`] as const,
      ),
      ...status.leftDatabases.map(
        (left) => ['Left over', `${left.name}, ${formatSize(left.sizeBytes)}: restore cleanup`] as const,
      ),
      ...status.missingPrivileges.map((sentence) => ['Lacks', sentence] as const),
    ]),
});

function swapText({ staging, before }: NonNullable<DatabaseStatus['unfinishedSwap']>): string {
  return `stopped between its two renames: "${before}" was replaced, "${staging}" does not serve yet; serve or any command that uses the database ends it`;
}

function importText({ state, backupId }: NonNullable<DatabaseStatus['import']>): string {
  const what = `an export of ${backupId === null ? 'an unreadable backup' : `backup ${backupId}`}`;
  if (state === 'complete') return `${what}, replayed; serve compares it and then serves`;
  if (state === 'begun') return `${what}, NOT replayed to its end; it does not serve`;
  return 'an export that somebody changed; it does not serve';
}

function schema({
  schemaVersion,
  programSchemaVersion,
}: Pick<DatabaseStatus, 'schemaVersion' | 'programSchemaVersion'>): string {
  if (schemaVersion === 0) return `none yet; this program makes ${programSchemaVersion}`;
  if (schemaVersion === programSchemaVersion) return `${schemaVersion}, as this program wants it`;
  if (schemaVersion > programSchemaVersion)
    return `${schemaVersion}, newer than this program, which knows ${programSchemaVersion}`;
  return `${schemaVersion}, ${counted(programSchemaVersion - schemaVersion, 'migration')} behind: database migrate`;
}
