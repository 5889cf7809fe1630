import type { Manifest, TableManifest } from '#format/manifest.ts';
import type { OpenedKeyring } from '#keys/keyring.ts';
import { digestKeyBytes, sumOfDigests } from '#pipeline/row-digest.ts';
import { WorkerPool } from '#pipeline/worker-pool.ts';
import type { WorkerEvent, WorkerSetup } from '#pipeline/worker-protocol.ts';
import type { Database } from '#ports/database.ts';
import type { ObjectStore } from '#ports/object-store.ts';
import { appliedMigrations } from '#store/migrate.ts';
import { loadMigrations } from '#store/migrations.ts';
import type { OperationContext } from './context.ts';
import { storedChunks } from './read-manifest.ts';
import { threadsFor } from './stream-tables.ts';

interface Rows {
  readonly rows: number;
  readonly digest: Buffer;
}

/**
 * Compares every row of a replayed export with the backup, by the order-independent digest that drills use. Each
 * difference is a sentence; none: they are equal. Its tables must be those of the backup's schema. Throws `damaged` where the repository no longer has the rows.
 * One that a crash left brought forward is compared as it is: migrations change no rows that are backed up.
 */
export async function compareImport(
  context: OperationContext,
  repository: { readonly store: ObjectStore; readonly keyring: OpenedKeyring },
  manifest: Manifest,
  database: Database,
): Promise<string[]> {
  const differences = await compareMigrations(manifest, database);
  if (differences.length > 0) return differences;
  context.progress.phase('comparing every row', manifest.summary.logicalBytes * 2);
  // Whoever wrote the rows that are compared must not know it.
  const digestKey = context.randomness.bytes(digestKeyBytes);
  const wanted = await digestBackup(context, repository, manifest, digestKey);
  const found = await digestDatabase(context, manifest, database, digestKey);
  return manifest.tables.flatMap(({ name }, index) => {
    const [want, have] = [wanted[index]!, found[index]!];
    if (want.rows !== have.rows) return [`table "${name}" has ${have.rows} rows, the backup ${want.rows}`];
    return want.digest.equals(have.digest) ? [] : [`table "${name}" has other rows than the backup`];
  });
}

async function compareMigrations({ migrations }: Manifest, database: Database): Promise<string[]> {
  const text = ({ version, checksum }: { version: number; checksum: string }): string => `${version} ${checksum}`;
  const applied = (await appliedMigrations(database.queries)).map(text);
  const wanted = [...migrations, ...loadMigrations().slice(migrations.length)].map(text);
  if (applied.length >= migrations.length && applied.every((each, index) => each === wanted[index])) return [];
  return ['table "schema_migrations" names other migrations than the backup'];
}

async function digestBackup(
  context: OperationContext,
  { store, keyring }: { readonly store: ObjectStore; readonly keyring: OpenedKeyring },
  manifest: Manifest,
  digestKey: Uint8Array,
): Promise<Rows[]> {
  const keys = manifest.summary.epochs.map((epoch) => keyring.epochKeys(epoch));
  const requests = manifest.tables.map((table) => ({
    kind: 'digest-chunks' as const,
    chunks: storedChunks(manifest, table),
    digestKey,
  }));
  return await withPool(context, { store: store.connection, keys }, manifest, async (pool) => {
    const results = await pool.performAll<'digest-chunks'>(requests);
    return results.map(({ rows, digest }) => ({ rows, digest: Buffer.from(digest) }));
  });
}

async function digestDatabase(
  context: OperationContext,
  manifest: Manifest,
  database: Database,
  digestKey: Uint8Array,
): Promise<Rows[]> {
  const snapshot = await database.snapshot(manifest.tables.map(({ name }) => name));
  const setup = { keys: [], read: { connection: database.connection, snapshot: snapshot.token } };
  try {
    return await withPool(context, setup, manifest, async (pool) => {
      const found: Rows[] = [];
      for (const table of manifest.tables) {
        const ranges = (await snapshot.ranges(table.name)).map((range) => ({ ...range, columns: names(table) }));
        const parts = await pool.performAll(
          ranges.map((range) => ({ kind: 'digest-range' as const, range, digestKey })),
        );
        found.push({
          rows: parts.reduce((sum, { rows }) => sum + rows, 0),
          digest: sumOfDigests(parts.map(({ digest }) => digest)),
        });
      }
      return found;
    });
  } finally {
    await snapshot.close();
  }
}

async function withPool<T>(
  context: OperationContext,
  setup: WorkerSetup,
  { summary }: Manifest,
  work: (pool: WorkerPool) => Promise<T>,
): Promise<T> {
  const onEvent = (event: WorkerEvent): void => {
    if (event.event === 'bytes') context.progress.advance(event.count);
  };
  const threads = threadsFor(context, summary.logicalBytes);
  const pool = new WorkerPool(context.startWorker, setup, { threads, signal: context.signal, onEvent });
  try {
    return await work(pool);
  } finally {
    await pool.close();
  }
}

/** In the order of the backup, which is the order of the values in its rows. */
const names = ({ columns }: TableManifest): string[] => columns.map(({ name }) => name);
