import { isEnclaveManagerError, toEnclaveManagerError } from '#errors/enclave-manager-error.ts';
import type { Cluster, Host, OperationContext } from '#operations/context.ts';
import { createBackup } from '#operations/create-backup.ts';
import { openCluster } from '#operations/open-cluster.ts';
import { describeNewerLife, newerLifeHint } from '#operations/newer-life.ts';
import { proveNodeDaily } from '#operations/prove-node.ts';
import type { PruneSettings } from '#operations/plan-prune.ts';
import { prune } from '#operations/prune.ts';
import { findBackup, readCatalog, type Catalog } from '#operations/read-catalog.ts';
import { dueForReading, readSchedules, type ScheduleSettings, type ScheduleState } from '#operations/read-schedules.ts';
import { runDrill, runVerification } from '#operations/recorded-run.ts';
import { seeCatalog } from '#operations/see-catalog.ts';
import { tendKeysIfPossible } from '#operations/tend-keys.ts';
import type { ScratchServers } from '#ports/scratch-server.ts';
import { readCluster } from '#store/cluster.ts';
import type { RunKind } from '#store/runs.ts';
import type { Gate } from './gate.ts';
import { describeBackup, describeDrill, describePrune, describeVerification } from './run-texts.ts';

export interface SchedulerParts {
  readonly host: Host;
  readonly scratchServers: ScratchServers;
  readonly settings: ScheduleSettings;
  readonly pruning: PruneSettings;
  readonly gate: Gate;
  readonly log: (message: string) => void;
}

/** Another manager may have answered what is due, so the catalogue is read again at least this often. */
const lookEveryMs = 300_000;
const leaseRetryMs = 30_000;
const failureRetryMs = 60_000;
const closedRetryMs = 1_000;
/** A reading that found a backup lost cannot mend it; it is not repeated at once. */
const readingRestMs = 86_400_000;

const newerLifeCommands = ['enclave-manager restore run latest', 'enclave-manager backup create --take-over'];

/** A restore is for the one who found out that another database is the live one: it replaces what this one serves. */
const leftBehindCommands = [
  'enclave-manager database status',
  'enclave-manager database accept-import --cluster-key FINGERPRINT',
];

/** When this process began the last run of a kind that succeeded: whatever clocks and lists say, it is not due again at once. */
type OwnRuns = Map<RunKind, Date>;

/** In this order: a drill is of the newest backup. */
const kinds: readonly RunKind[] = ['backup', 'drill', 'verify', 'prune'];

/** Runs what is due, one at a time, until the signal. Failures are recorded, logged and tried again later; none ends it. */
export async function runScheduler(context: OperationContext, parts: SchedulerParts): Promise<void> {
  const { clock, signal } = context;
  const own: OwnRuns = new Map();
  while (!signal.aborted) {
    const waitMs = await step(context, parts, own);
    await clock.sleep(waitMs, signal).catch(() => {});
  }
}

/** Runs the first thing that is due; resolves with how long to wait for the next step. */
async function step(context: OperationContext, parts: SchedulerParts, own: OwnRuns): Promise<number> {
  try {
    const waitMs = await parts.gate.work(context.signal, (signal) => runDue({ ...context, signal }, parts, own));
    return waitMs ?? closedRetryMs;
  } catch (error) {
    if (context.signal.aborted) return 0;
    if (!parts.gate.isOpen) return closedRetryMs;
    if (isEnclaveManagerError(error, 'lease-held')) return leaseRetryMs;
    const { message, hint } = toEnclaveManagerError(error);
    // It serves what it served; no command does here.
    if (isEnclaveManagerError(error, 'import-pending'))
      parts.gate.notice({ reasons: [message, hint], commands: leftBehindCommands });
    parts.log(`${message}. ${hint}`);
    return failureRetryMs;
  }
}

async function runDue(context: OperationContext, parts: SchedulerParts, own: OwnRuns): Promise<number> {
  // Opened for each step: keys, membership and the database itself may have changed since the last.
  const opened = await openCluster(context, parts.host);
  try {
    // A backup with the keys of before could be opened by a host that is being evicted.
    const cluster = await tendKeysIfPossible(context, parts.host, opened);
    await proveNodeDaily(context, cluster);
    const { store, keyring } = cluster;
    if (store === undefined) {
      parts.gate.notice(undefined);
      return lookEveryMs;
    }
    const { catalog } = await seeCatalog(cluster, () => readCatalog(store, keyring, context.clock.now()));
    await tellOfNewerLife(cluster, catalog, parts.gate);
    const now = context.clock.now();
    const since = (await readCluster(cluster.database.queries))?.createdAt ?? now;
    const schedules = await readSchedules(cluster.database.queries, catalog, parts.settings, since, now, own);
    const states = kinds.map((kind) => schedules[kind]).filter((state) => canRun(state, catalog, parts.settings, now));
    const [first] = states.filter(({ due }) => due !== undefined && due.attemptAt <= now);
    if (first === undefined) return untilNext(states, now);
    await run(first.kind, context, cluster, catalog, parts);
    own.set(first.kind, now);
    return 0;
  } finally {
    await opened.database.close();
  }
}

/** It serves on: which database is the live one is for a person to say. Every backup here fails until then. */
async function tellOfNewerLife(cluster: Cluster, catalog: Catalog, gate: Gate): Promise<void> {
  const sentence = await describeNewerLife(cluster, catalog);
  gate.notice(sentence === undefined ? undefined : { reasons: [sentence, newerLifeHint], commands: newerLifeCommands });
}

/** A drill needs a backup; a reading needs something that was not read for long, and rests after one. */
function canRun({ kind, runs }: ScheduleState, catalog: Catalog, settings: ScheduleSettings, now: Date): boolean {
  if (kind === 'backup' || kind === 'prune') return true;
  if (!catalog.backups.some(({ entry }) => entry.authentic === true && entry.kind !== 'safety')) return false;
  if (kind === 'drill') return true;
  const lastReading = runs.find(({ outcome }) => outcome === 'succeeded')?.beganAt;
  if (lastReading !== undefined && now.getTime() - lastReading.getTime() < readingRestMs) return false;
  return dueForReading(catalog, settings.verifyPeriodMs, now).length > 0;
}

function untilNext(states: readonly ScheduleState[], now: Date): number {
  const waits = states.flatMap(({ due }) => (due === undefined ? [] : [due.attemptAt.getTime() - now.getTime()]));
  return Math.max(0, Math.min(lookEveryMs, ...waits));
}

async function run(
  kind: RunKind,
  context: OperationContext,
  cluster: Cluster,
  catalog: Catalog,
  parts: SchedulerParts,
): Promise<void> {
  const { log, scratchServers, settings } = parts;
  switch (kind) {
    case 'backup':
      log(describeBackup(await createBackup(context, cluster, { kind: 'scheduled' })));
      return;
    case 'drill': {
      const { id } = findBackup(catalog, 'latest').entry;
      log(describeDrill(await runDrill(context, cluster, scratchServers, id, 'schedule')));
      return;
    }
    case 'verify': {
      const ids = dueForReading(catalog, settings.verifyPeriodMs, context.clock.now());
      log(describeVerification(await runVerification(context, cluster, ids, 'schedule')));
      return;
    }
    case 'prune':
      log(
        describePrune(
          await prune(context, cluster, { ...parts.pruning, cause: 'schedule', acceptEmptiedTables: false }),
        ),
      );
  }
}
