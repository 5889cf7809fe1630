import type { ObjectReference, TableManifest } from '#format/manifest.ts';
import { KnownChunks } from '#pipeline/known-chunks.ts';
import { WorkerPool } from '#pipeline/worker-pool.ts';
import type { StoredChunk, WorkerEvent, WorkerResponses } from '#pipeline/worker-protocol.ts';
import type { Database, Snapshot, TableColumn, TableRange } from '#ports/database.ts';
import { type Cluster, type OperationContext } from './context.ts';
import type { KnownObjects } from './known-objects.ts';

/** Below this a second connection costs more than it brings. */
const smallDatabaseBytes = 64 * 1024 * 1024;
const maxThreads = 4;

export interface StreamedTables {
  readonly tables: readonly TableManifest[];
  /** Every object the tables need, by name. */
  readonly objects: ReadonlyMap<string, ObjectReference>;
  /** The chunks that were stored now, or taken over from an interrupted backup. */
  readonly stored: readonly NewChunk[];
  /** Chunk ids that an older backup names but that had to be stored anew. */
  readonly repaired: readonly string[];
}

export interface NewChunk extends StoredChunk {
  /** It was there already, although no backup named it. */
  readonly reused: boolean;
}

interface TablePlan {
  readonly table: string;
  readonly columns: readonly TableColumn[];
  readonly ranges: readonly TableRange[];
}

/**
 * Streams every table at the snapshot through worker threads into the repository. What comes next is given the threads,
 * which end after it: starting others would cost more than some backups.
 */
export async function streamTables<T>(
  context: OperationContext,
  cluster: Cluster,
  snapshot: Snapshot,
  { tables, known }: { readonly tables: readonly string[]; readonly known: KnownObjects },
  next: (streamed: StreamedTables, threads: WorkerPool) => Promise<T>,
): Promise<T> {
  const plans: TablePlan[] = [];
  for (const table of tables) plans.push(await planTable(cluster.database, snapshot, table));
  const ranges = plans.flatMap((plan) => plan.ranges);
  const totalBytes = ranges.reduce((sum, range) => sum + range.estimatedBytes, 0);
  context.progress.phase('reading rows', totalBytes);
  const pool = new WorkerPool(
    context.startWorker,
    {
      store: cluster.store!.connection,
      keys: [cluster.keyring.currentEpoch],
      read: { connection: cluster.database.connection, snapshot: snapshot.token },
      knownIds: KnownChunks.pack(known.byId.keys()),
      strays: known.strays,
    },
    { threads: threadsFor(context, totalBytes), signal: context.signal, onEvent: (event) => onEvent(context, event) },
  );
  try {
    const results = await pool.performAll(ranges.map((range) => ({ kind: 'store-range' as const, range })));
    return await next(assemble(plans, results, known), pool);
  } finally {
    await pool.close();
  }
}

export function threadsFor(context: OperationContext, totalBytes: number): number {
  return totalBytes < smallDatabaseBytes ? 1 : Math.max(1, Math.min(maxThreads, context.processors));
}

async function planTable(database: Database, snapshot: Snapshot, table: string): Promise<TablePlan> {
  const { columns } = await database.tableColumns(table);
  return { table, columns, ranges: await snapshot.ranges(table) };
}

function onEvent(context: OperationContext, event: WorkerEvent): void {
  if (event.event === 'bytes') context.progress.advance(event.count);
  if (event.event === 'chunk-stored') context.crashPoints.reach('backup.chunk-stored');
}

/** Two workers may have stored the same rows at once; the manifest names the first object and the other is left for prune. */
function assemble(
  plans: readonly TablePlan[],
  results: readonly WorkerResponses['store-range'][],
  known: KnownObjects,
): StreamedTables {
  const objects = new Map<string, ObjectReference>();
  const stored = new Map<string, NewChunk>();
  let next = 0;
  const tables = plans.map(({ table, columns, ranges }): TableManifest => {
    const parts = results.slice(next, (next += ranges.length));
    const cut = parts.flatMap(({ chunks }) => chunks);
    for (const { id, rows, rowBytes, object: stores, reused = false } of cut) {
      const object = stored.get(id)?.object ?? stores ?? known.byId.get(id)!;
      objects.set(object.name, object);
      if (stores === object) stored.set(id, { id, rows, rowBytes, object, reused });
    }
    const chunks = cut.map(({ id, rows, rowBytes }) => ({ id, rows, rowBytes }));
    // What is in the chunks, not what the reader says it passed on: the server's count is compared with this.
    const rows = chunks.reduce((sum, chunk) => sum + chunk.rows, 0);
    return { name: table, columns: columns.map(({ name, type }) => ({ name, type })), rows, chunks };
  });
  const repaired = [...stored.keys()].filter((id) => known.unusable.has(id));
  return { tables, objects, stored: [...stored.values()], repaired };
}
