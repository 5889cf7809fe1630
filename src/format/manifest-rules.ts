/** What the parts of a manifest must say about each other. The answer is the first contradiction, in words. */
import type { Manifest, ManifestDetails, ObjectReference, TableManifest } from './manifest-parts.ts';
import type { StoredManifest } from './manifest-schema.ts';

interface ManifestTotals {
  readonly rows: number;
  /** Bytes of all rows as COPY text. */
  readonly logicalBytes: number;
  /** Bytes of all objects, each once. */
  readonly storedBytes: number;
  /** Number of objects. */
  readonly chunks: number;
}

/** The totals that the summary of a backup states. */
export function manifestTotals(tables: ManifestDetails['tables'], objects: readonly ObjectReference[]): ManifestTotals {
  const chunks = tables.flatMap((table) => table.chunks);
  return {
    rows: sum(tables.map(({ rows }) => rows)),
    logicalBytes: sum(chunks.map(({ rowBytes }) => rowBytes)),
    storedBytes: sum(objects.map(({ sizeBytes }) => sizeBytes)),
    chunks: objects.length,
  };
}

/** What can be checked without keys. `clusterId` is the signed document's. */
export function clearContradiction(
  clusterId: string,
  { summary, objects, encrypted }: StoredManifest,
): string | undefined {
  // Sorted by name, so two objects of one chunk would stand side by side.
  const repeated = objects.filter(({ name }, index) => name.slice(0, 64) === objects[index - 1]?.name.slice(0, 64));
  return (
    difference('cluster', summary.clusterId, 'its signature', clusterId) ??
    difference('chunks', summary.chunks, 'its object list', objects.length) ??
    first(repeated, ({ name }) => `chunk ${name.slice(0, 64)} has two objects`) ??
    difference('storedBytes', summary.storedBytes, 'its object list', manifestTotals([], objects).storedBytes) ??
    difference('newest epoch', summary.epochs.at(-1), 'its encrypted part', encrypted.epoch)
  );
}

/** What needs the encrypted part: rows, bytes, names, and that every chunk has its object and every object its chunk. */
export function wholeContradiction({ summary, tables, objects }: Manifest): string | undefined {
  const totals = manifestTotals(tables, objects);
  return (
    difference('rows', summary.rows, 'its tables', totals.rows) ??
    difference('logicalBytes', summary.logicalBytes, 'its chunks', totals.logicalBytes) ??
    difference('tables', tables.length, 'their names', distinctNames(tables)) ??
    first(tables, tableContradiction) ??
    chunkContradiction(tables, objects)
  );
}

function tableContradiction({ name, rows, columns, chunks }: TableManifest): string | undefined {
  return (
    difference(`rows of ${name}`, rows, 'its chunks', sum(chunks.map((chunk) => chunk.rows))) ??
    difference(`columns of ${name}`, columns.length, 'their names', distinctNames(columns))
  );
}

function chunkContradiction(tables: readonly TableManifest[], objects: readonly ObjectReference[]): string | undefined {
  const stored = new Set(objects.map(({ name }) => name.slice(0, 64)));
  const unreferenced = new Set(stored);
  for (const { chunks } of tables) {
    for (const { id } of chunks) {
      if (!stored.has(id)) return `chunk ${id} has no object`;
      unreferenced.delete(id);
    }
  }
  return first([...unreferenced], (id) => `no table has the chunk ${id} of an object`);
}

function difference(what: string, here: unknown, where: string, there: unknown): string | undefined {
  return here === there ? undefined : `${what} ${String(here)}, but ${String(there)} by ${where}`;
}

function first<T>(values: readonly T[], contradictionOf: (value: T) => string | undefined): string | undefined {
  for (const value of values) {
    const contradiction = contradictionOf(value);
    if (contradiction !== undefined) return contradiction;
  }
  return undefined;
}

function distinctNames(named: readonly { readonly name: string }[]): number {
  return new Set(named.map(({ name }) => name)).size;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
