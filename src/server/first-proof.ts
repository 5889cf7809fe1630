import { isEnclaveManagerError, toEnclaveManagerError } from '#errors/enclave-manager-error.ts';
import type { Cluster, OperationContext } from '#operations/context.ts';
import { createBackup } from '#operations/create-backup.ts';
import type { DrillResult } from '#operations/drill-backup.ts';
import { findBackup, readCatalog } from '#operations/read-catalog.ts';
import type { ScheduleSettings } from '#operations/read-schedules.ts';
import { runDrill } from '#operations/recorded-run.ts';
import { seeCatalog } from '#operations/see-catalog.ts';
import type { ScratchServers } from '#ports/scratch-server.ts';

export interface ProofParts {
  readonly scratchServers: ScratchServers;
  readonly settings: ScheduleSettings;
  readonly log: (message: string) => void;
}

/**
 * Takes a first backup where there is none, and drills it where no backup was ever drilled: from then on it is known
 * that a restore works. What is never to run by schedule is not run here either. A failure is logged, not thrown: it
 * shows in the status, and the schedule tries again.
 */
export async function proveOnce(
  context: OperationContext,
  cluster: Cluster,
  parts: ProofParts,
): Promise<DrillResult | undefined> {
  try {
    return await prove(context, cluster, parts);
  } catch (error) {
    context.progress.end();
    if (context.signal.aborted || isEnclaveManagerError(error, 'lease-held')) return undefined;
    const { message, hint } = toEnclaveManagerError(error);
    parts.log(`${message}. ${hint}`);
    return undefined;
  }
}

async function prove(
  context: OperationContext,
  cluster: Cluster,
  { scratchServers, settings }: ProofParts,
): Promise<DrillResult | undefined> {
  const { store, keyring } = cluster;
  if (store === undefined) return undefined;
  let { catalog } = await seeCatalog(cluster, () => readCatalog(store, keyring, context.clock.now()));
  if (!catalog.backups.some(({ entry }) => entry.authentic === true)) {
    if (settings.backupSchedule === undefined) return undefined;
    await createBackup(context, cluster, { kind: 'scheduled' });
    catalog = await readCatalog(store, keyring, context.clock.now());
  }
  if (settings.drillSchedule === undefined || catalog.backups.some(({ entry }) => entry.lastDrill !== null))
    return undefined;
  return await runDrill(context, cluster, scratchServers, findBackup(catalog, 'latest').entry.id, 'schedule');
}
