import { beforeName, beforePrefix, restoreOfName, stagingPrefix } from '#model/restore-names.ts';
import type { Database, DatabaseServer } from '#ports/database.ts';
import { readCluster } from '#store/cluster.ts';
import { listRestores, type RestoreRecord } from '#store/restores.ts';

/** A swap of which only the first of two renames was done: there is no live database, and two whole ones beside its name. */
export interface UnfinishedSwap {
  readonly restoreId: string;
  /** What should serve, and what served until then. */
  readonly staging: string;
  readonly before: string;
  /** What the record of the swap says once it is done. */
  readonly outcome: 'complete' | 'rolled-back';
}

/** `unclear`: there is no live database but replaced ones, and none that says it was about to take its place. */
export type SwapState =
  | { readonly kind: 'none' }
  | { readonly kind: 'unfinished'; readonly swap: UnfinishedSwap }
  | { readonly kind: 'unclear'; readonly replaced: readonly string[] };

/** Looks only at names where there is a live database. */
export async function readSwapState(server: DatabaseServer): Promise<SwapState> {
  const { liveName } = server;
  if ((await server.databaseIdentity(liveName)) !== undefined) return { kind: 'none' };
  const replaced = await server.databaseNames(beforePrefix(liveName));
  const own = replaced.filter((name) => restoreOfName(liveName, name) !== undefined);
  if (own.length === 0) return { kind: 'none' };
  const found: UnfinishedSwap[] = [];
  for (const staging of [...(await server.databaseNames(stagingPrefix(liveName))), ...own]) {
    const swap = await unfinishedSwapOf(server, staging, own);
    if (swap !== undefined) found.push(swap);
  }
  return found.length === 1 ? { kind: 'unfinished', swap: found[0]! } : { kind: 'unclear', replaced: own };
}

async function unfinishedSwapOf(
  server: DatabaseServer,
  name: string,
  replaced: readonly string[],
): Promise<UnfinishedSwap | undefined> {
  const named = restoreOfName(server.liveName, name);
  if (named === undefined) return undefined;
  const database = server.open(name, { connections: 1 });
  try {
    const record = await ownRecord(database);
    if (record === undefined || record.endedAt !== null) return undefined;
    const before = beforeName(server.liveName, record.restoreId);
    if (before === name || !replaced.includes(before)) return undefined;
    // A staging database has the id of its own restore. One that is put back has that of the swap that replaced it,
    // which came before; one that was put back and then replaced itself has a later one, and is nobody's successor.
    const isNext = named.role === 'staging' ? named.id === record.restoreId : named.id < record.restoreId;
    const outcome = named.role === 'staging' ? 'complete' : 'rolled-back';
    return isNext ? { restoreId: record.restoreId, staging: name, before, outcome } : undefined;
  } finally {
    await database.close();
  }
}

/** How this database came to the life that it has; written in the last step before it may serve. */
async function ownRecord(database: Database): Promise<RestoreRecord | undefined> {
  const tables = await database.tableNames();
  if (!tables.includes('restores') || !tables.includes('cluster')) return undefined;
  const incarnation = (await readCluster(database.queries))?.incarnation;
  return (await listRestores(database.queries)).find(
    (each) => each.incarnation.number === incarnation?.number && each.incarnation.random === incarnation.random,
  );
}
