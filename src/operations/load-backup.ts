import type { BackupSummary } from '#model/backup.ts';
import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import type { Manifest } from '#format/manifest.ts';
import type { OpenedKeyring } from '#keys/keyring.ts';
import type { BadObject, WorkerRequest, WorkerResponses } from '#pipeline/worker-protocol.ts';
import { WorkerPool } from '#pipeline/worker-pool.ts';
import type { Database } from '#ports/database.ts';
import type { ObjectStore } from '#ports/object-store.ts';
import { migrate } from '#store/migrate.ts';
import { backedUpTables, loadMigrations } from '#store/migrations.ts';
import { cancellable } from './cancellable.ts';
import { type OperationContext } from './context.ts';
import { storedChunks } from './read-manifest.ts';
import { threadsFor } from './stream-tables.ts';

/** One request loads at most this many chunks, so that two connections share a large table. */
const chunksPerRequest = 32;

export interface LoadedBackup {
  readonly rows: number;
  /** Table → order-independent digest of the rows that the backup holds for it. */
  readonly digests: ReadonlyMap<string, readonly Uint8Array[]>;
  /** Objects that were bad and whose rows came from another object. */
  readonly healed: readonly BadObject[];
}

/**
 * Fills an empty database with a backup: schema as of the backup, rows without indexes, indexes, row counts.
 * It is what a restore does to its staging database and a drill to its private one.
 *
 * Throws `version-incompatible`, `damaged`, `rows-differ`, and what the ports throw.
 */
export async function loadBackup(
  context: OperationContext,
  repository: { readonly store: ObjectStore; readonly keyring: OpenedKeyring },
  manifest: Manifest,
  database: Database,
  { digestKey }: { readonly digestKey?: Uint8Array } = {},
): Promise<LoadedBackup> {
  checkSchema(manifest);
  context.progress.phase('creating the schema');
  await migrate(database, { to: manifest.summary.schemaVersion });
  await checkTables(manifest, database);
  context.crashPoints.reach('restore.schema-created');
  const detached = await cancellable(context, database, () => database.detachIndexes());
  const loaded = await loadRows(context, repository, manifest, database, digestKey);
  context.crashPoints.reach('restore.rows-loaded');
  context.signal.throwIfAborted();
  context.progress.phase('building indexes');
  await cancellable(context, database, () => detached.attach());
  context.crashPoints.reach('restore.indexes-attached');
  await cancellable(context, database, () => countRows(context, manifest, database));
  context.crashPoints.reach('restore.counted');
  return loaded;
}

/** The program must know every migration of the backup, byte for byte. */
export function checkSchema(manifest: Pick<Manifest, 'summary' | 'migrations'>): void {
  const { schemaVersion, productVersion, id } = manifest.summary;
  const known = new Map(loadMigrations().map(({ version, checksum }) => [version, checksum]));
  if (!known.has(schemaVersion)) throw newerSchema(manifest.summary, Math.max(...known.keys()));
  const edited = manifest.migrations.find(({ version, checksum }) => known.get(version) !== checksum);
  if (edited !== undefined) {
    throw new EnclaveManagerError(
      'version-incompatible',
      `migration ${edited.version} of this program is not the one that backup ${id} was made with`,
      {
        hint: `Restore with version ${productVersion}, unmodified.`,
      },
    );
  }
}

export function newerSchema(
  { id, schemaVersion, productVersion }: Pick<BackupSummary, 'id' | 'schemaVersion' | 'productVersion'>,
  known: number,
): EnclaveManagerError {
  const message = `backup ${id} has schema ${schemaVersion}, made by version ${productVersion}; this program knows up to ${known}`;
  const hint = `Restore with version ${productVersion} or a newer one.`;
  return new EnclaveManagerError('version-incompatible', message, { hint });
}

/** Names come from a signed manifest, yet a table or column that the schema does not have is a mismatch, not SQL to run. */
async function checkTables(manifest: Manifest, database: Database): Promise<void> {
  const expected = backedUpTables(manifest.summary.schemaVersion);
  const named = manifest.tables.map(({ name }) => name).toSorted();
  if (named.join() !== expected.join()) {
    throw new EnclaveManagerError(
      'version-incompatible',
      `backup ${manifest.summary.id} holds the tables ${named.join(', ')}; its schema has ${expected.join(', ')}`,
    );
  }
  for (const table of manifest.tables) {
    const { columns } = await database.tableColumns(table.name);
    const have = new Set(columns.map(({ name, type }) => `${name} ${type}`));
    const stranger = table.columns.find(({ name, type }) => !have.has(`${name} ${type}`));
    if (stranger !== undefined || have.size !== table.columns.length) {
      throw new EnclaveManagerError(
        'version-incompatible',
        `the columns of table "${table.name}" in backup ${manifest.summary.id} are not those of schema ${manifest.summary.schemaVersion}`,
      );
    }
  }
}

type LoadRequest = Extract<WorkerRequest, { kind: 'load-chunks' }>;

async function loadRows(
  context: OperationContext,
  { store, keyring }: { readonly store: ObjectStore; readonly keyring: OpenedKeyring },
  manifest: Manifest,
  database: Database,
  digestKey: Uint8Array | undefined,
): Promise<LoadedBackup> {
  const requests = manifest.tables.flatMap((table): LoadRequest[] => {
    const chunks = storedChunks(manifest, table);
    const columns = table.columns.map(({ name }) => name);
    const parts = Array.from({ length: Math.ceil(chunks.length / chunksPerRequest) }, (_, part) =>
      chunks.slice(part * chunksPerRequest, (part + 1) * chunksPerRequest),
    );
    return parts.map((part) => ({ kind: 'load-chunks', table: table.name, columns, chunks: part, digestKey }));
  });
  context.progress.phase('loading rows', manifest.summary.logicalBytes);
  const keys = manifest.summary.epochs.map((epoch) => keyring.epochKeys(epoch));
  const setup = { store: store.connection, keys, write: { connection: database.connection } };
  const pool = new WorkerPool(context.startWorker, setup, {
    threads: threadsFor(context, manifest.summary.logicalBytes),
    signal: context.signal,
    onEvent: (event) => {
      if (event.event === 'bytes') context.progress.advance(event.count);
      if (event.event === 'chunk-loaded') context.crashPoints.reach('restore.chunk-loaded');
    },
  });
  try {
    return gather(requests, await pool.performAll<'load-chunks'>(requests));
  } finally {
    await pool.close();
  }
}

function gather(requests: readonly LoadRequest[], responses: readonly WorkerResponses['load-chunks'][]): LoadedBackup {
  const digests = new Map<string, Uint8Array[]>();
  for (const [index, response] of responses.entries()) {
    const { table } = requests[index]!;
    digests.set(table, [...(digests.get(table) ?? []), response.digest]);
  }
  const rows = responses.reduce((sum, response) => sum + response.rows, 0);
  return { rows, digests, healed: responses.flatMap(({ bad }) => bad) };
}

async function countRows(context: OperationContext, manifest: Manifest, database: Database): Promise<void> {
  context.progress.phase('counting rows');
  for (const table of manifest.tables) {
    context.signal.throwIfAborted();
    const counted = await database.countRows(table.name);
    if (counted !== table.rows) {
      throw new EnclaveManagerError(
        'rows-differ',
        `table "${table.name}" has ${counted} rows after loading; backup ${manifest.summary.id} holds ${table.rows}`,
      );
    }
  }
}
