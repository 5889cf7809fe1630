import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import type { DatabaseServer, SwapNames } from '#ports/database.ts';
import { updateRestore } from '#store/restores.ts';
import type { OperationContext } from './context.ts';
import { readSwapState, type UnfinishedSwap } from './find-unfinished-swap.ts';
import { readLiveContent } from './live-content.ts';

/**
 * Ends a swap that stopped between its two renames, as after a crash on an engine where they are two steps. Call it
 * before the live database is opened. Several may do so at once: one renames, the others see that it is done.
 *
 * Where it cannot be told which database should serve nothing is guessed: `restore-needed` with the commands, unless the
 * caller is a restore (`leave`), which needs no live database.
 */
export async function finishSwap(
  context: OperationContext,
  server: DatabaseServer,
  { unclear = 'refuse' }: { readonly unclear?: 'refuse' | 'leave' } = {},
): Promise<void> {
  try {
    const state = await readSwapState(server);
    if (state.kind === 'unfinished') await finish(context, server, state.swap);
    if (state.kind === 'unclear' && unclear === 'refuse') throw nothingWhole(server, state.replaced);
  } catch (error) {
    // Whoever else finishes it ends our sessions in what it renames.
    const isDone = (await server.databaseIdentity(server.liveName).catch(() => undefined)) !== undefined;
    if (!isDone) throw error;
  }
}

async function finish(context: OperationContext, server: DatabaseServer, swap: UnfinishedSwap): Promise<void> {
  const { staging, before } = swap;
  context.progress.note(`finishing a swap that was interrupted: "${staging}" becomes "${server.liveName}"`);
  context.crashPoints.reach('swap.finishing');
  await server.swap({ live: server.liveName, staging, before, expectedLive: undefined });
  context.crashPoints.reach('swap.finished');
  await recordEnd(context, server, swap).catch(() => {});
  await dropEmpty(server, before).catch(() => {});
}

/** The swap of a restore or rollback. Rejects only where the old database serves, or where it says that a swap has to be finished. */
export async function swapLive(context: OperationContext, server: DatabaseServer, names: SwapNames): Promise<void> {
  try {
    await server.swap({ ...names, crashPoints: context.crashPoints });
  } catch (error) {
    const state = await readSwapState(server).catch(() => undefined);
    if (state?.kind !== 'unfinished' || state.swap.staging !== names.staging) throw error;
    await finishSwap(context, server);
  }
}

/** Drops a replaced database that holds nothing: what somebody wrote there in the last moment stays. */
export async function dropEmpty(server: DatabaseServer, name: string): Promise<void> {
  if ((await readLiveContent({ ...server, liveName: name })) === 'nothing') await server.dropDatabase(name);
}

/** Bookkeeping: a restore is complete, a rollback stays one and has an end. */
export async function recordEnd(
  context: OperationContext,
  server: DatabaseServer,
  { restoreId, outcome }: Pick<UnfinishedSwap, 'restoreId' | 'outcome'>,
): Promise<void> {
  const database = server.open(server.liveName, { connections: 1 });
  try {
    await updateRestore(database.queries, restoreId, { state: outcome, endedAt: context.clock.now() });
  } finally {
    await database.close();
  }
}

function nothingWhole(server: DatabaseServer, replaced: readonly string[]): EnclaveManagerError {
  const names = replaced.map((name) => `"${name}"`).join(', ');
  return new EnclaveManagerError(
    'restore-needed',
    `there is no database "${server.liveName}" at ${server.location}, but what restores replaced (${names}), and nothing says which should serve`,
    {
      hint: `Restore the newest backup, or put a replaced database back by its name in a database shell:\n  enclave-manager restore run latest\n  ALTER DATABASE "${replaced.at(-1)}" RENAME TO "${server.liveName}"`,
    },
  );
}
