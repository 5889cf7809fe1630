import { EnclaveManagerError, isEnclaveManagerError } from '#errors/enclave-manager-error.ts';
import type { Configuration } from '#config/configuration.ts';
import { uuidv7 } from '#model/identifiers.ts';
import { productVersion } from '#model/product.ts';
import { notReady, type Readiness } from '#model/readiness.ts';
import type { Host, OperationContext } from '#operations/context.ts';
import { openCluster, type OpenedCluster } from '#operations/open-cluster.ts';
import { readStatus } from '#operations/read-status.ts';
import type { StartReport } from '#operations/start-report.ts';
import type { DatabaseServer } from '#ports/database.ts';
import type { Progress } from '#ports/progress.ts';
import type { ScratchServers } from '#ports/scratch-server.ts';
import { runAdmission } from './admission.ts';
import { type AwaitingParts, openWhenRestored, openWhenThere } from './await-cluster.ts';
import { runImports } from './await-import.ts';
import { proveOnce } from './first-proof.ts';
import { Gate } from './gate.ts';
import { runKeyTending } from './key-tending.ts';
import { runSwapFinishing } from './finish-swaps.ts';
import { Presence } from './presence.ts';
import { runScheduler } from './scheduler.ts';

export interface ServeParts {
  readonly configuration: Configuration;
  readonly hostName: string;
  readonly processId: number;
  /** Answers from before the database is up. */
  startHealthServer(readiness: () => Readiness): Promise<{ readonly address: string; close(): Promise<void> }>;
  openDatabase(): Promise<ServedDatabase>;
  openHost(server: DatabaseServer): Promise<Host>;
  readonly scratchServers: ScratchServers;
  readonly sealing: StartReport['sealing'];
  findOnOneDisk(): Promise<readonly string[]>;
  announce(report: StartReport): void;
  log(message: string): void;
}

export interface ServedDatabase {
  readonly server: DatabaseServer;
  /** Resolves with a sentence when an embedded server ends, asked to or not; `undefined` for an external one. */
  readonly exited: Promise<string> | undefined;
  close(): Promise<void>;
}

/** Runs the manager until the signal, and then stops everything. Throws what keeps it from starting, and when its embedded database dies. */
export async function serve(context: OperationContext, parts: ServeParts): Promise<void> {
  const gate = new Gate(context.clock);
  context.signal.addEventListener('abort', () => parts.log('stopping'), { once: true });
  const health = await parts.startHealthServer(() => gate.readiness);
  try {
    await withDatabase(context, parts, gate, async (inner, server) => {
      // Again only where a host that was put out waits to be enrolled anew.
      for (;;) await serveDatabase(inner, parts, gate, health.address, server);
    });
  } catch (error) {
    if (!context.signal.aborted) throw error;
  } finally {
    gate.report(notReady('stopping'));
    context.progress.end();
    await health.close();
  }
}

/** Ends the work when the embedded database dies under it: nothing that is said after that could be trusted. */
async function withDatabase(
  context: OperationContext,
  parts: ServeParts,
  gate: Gate,
  work: (context: OperationContext, server: DatabaseServer) => Promise<void>,
): Promise<void> {
  const { server, exited, close } = await openWhenThere(context, awaiting(parts, gate), () => parts.openDatabase());
  const died = new AbortController();
  void exited?.then((how) => died.abort(databaseDied(how)));
  try {
    await work({ ...context, signal: AbortSignal.any([context.signal, died.signal]) }, server);
  } catch (error) {
    died.signal.throwIfAborted();
    throw error;
  } finally {
    await close();
  }
}

const awaiting = ({ configuration, log }: ServeParts, gate: Gate): AwaitingParts => ({ configuration, gate, log });

const databaseDied = (how: string): EnclaveManagerError =>
  new EnclaveManagerError('database-unreachable', `the embedded database ended under us: it ${how}`, {
    hint: 'Its log is postgres/postgres.log in the data directory. Start the manager again: it recovers what was committed.',
  });

async function serveDatabase(
  context: OperationContext,
  parts: ServeParts,
  gate: Gate,
  address: string,
  server: DatabaseServer,
): Promise<void> {
  const host = await parts.openHost(server);
  const opened = await openWhenRestored(context, awaiting(parts, gate), host);
  const database = opened.cluster.database;
  const registration = {
    serverId: uuidv7(context.clock.now(), context.randomness.bytes(10)),
    nodeId: opened.cluster.keyring.nodeId,
    host: parts.hostName,
    processId: parts.processId,
    address,
    productVersion,
  };
  const stop = new AbortController();
  const onOut = (): void => {
    if (parts.configuration.waitAtStart) stop.abort();
  };
  const mayServe = (): Promise<boolean> => isProved(context, host);
  const presence = new Presence({
    clock: context.clock,
    database,
    gate,
    registration,
    log: parts.log,
    mayServe,
    onOut,
  });
  await presence.look();
  const inner = { ...context, signal: AbortSignal.any([context.signal, stop.signal]) };
  try {
    await Promise.all([
      presence.run(inner.signal),
      runImports({ ...inner, progress: logged(parts.log) }, { host, database, gate, log: parts.log }),
      runSwapFinishing({ ...inner, progress: logged(parts.log) }, host.server),
      serveWork(inner, parts, gate, host, opened, address),
      runKeyTending(
        { ...inner, progress: logged(parts.log) },
        { host, database, gate, log: parts.log, refuse: (sentence) => presence.refuse(sentence) },
      ),
    ]);
    context.signal.throwIfAborted();
  } catch (error) {
    if (context.signal.aborted || !stop.signal.aborted) throw error;
  } finally {
    stop.abort();
    await gate.close(notReady('stopping'));
    await presence.leave();
    await database.close();
  }
}

/** Whether the live database is one that this program serves; also asked when somebody puts another in its place. */
async function isProved(context: OperationContext, host: Host): Promise<boolean> {
  try {
    const cluster = await openCluster(context, host, { finishImport: false });
    await cluster.database.close();
    return true;
  } catch (error) {
    if (isEnclaveManagerError(error, 'import-pending')) return false;
    throw error;
  }
}

async function serveWork(
  context: OperationContext,
  parts: ServeParts,
  gate: Gate,
  host: Host,
  opened: OpenedCluster,
  address: string,
): Promise<void> {
  const { configuration, scratchServers, log } = parts;
  const settings = {
    backupSchedule: configuration.backupSchedule,
    drillSchedule: configuration.drillSchedule,
    pruneSchedule: configuration.pruneSchedule,
    verifyPeriodMs: configuration.verifyPeriodMs,
  };
  const drilled = await gate.work(context.signal, (signal) =>
    proveOnce({ ...context, signal }, opened.cluster, { scratchServers, settings, log }),
  );
  context.signal.throwIfAborted();
  parts.announce({
    outcome: opened.outcome,
    address,
    dataDirectory: configuration.dataDirectory,
    nodeName: configuration.nodeName,
    sealing: parts.sealing,
    keyPlace: parts.sealing.provider === 'software' ? configuration.sealing.keyFile : configuration.sealing.tpm.tcti,
    embeddedDatabase: configuration.database.kind === 'embedded',
    drilled: drilled === undefined ? null : { rows: drilled.rows, tables: drilled.tables },
    status: await readStatusNow(context, parts, host),
  });
  const quiet = { ...context, progress: logged(log) };
  await Promise.all([
    runScheduler(quiet, { host, scratchServers, settings, pruning: configuration.pruning, gate, log }),
    runAdmission(quiet, { host, database: opened.cluster.database, gate, log }),
  ]);
}

async function readStatusNow(context: OperationContext, parts: ServeParts, host: Host): Promise<StartReport['status']> {
  const { backupSchedule, drillSchedule, pruneSchedule, verifyPeriodMs } = parts.configuration;
  const cluster = await openCluster(context, host);
  try {
    const onOneDisk = await parts.findOnOneDisk();
    return await readStatus(context, cluster, {
      backupSchedule,
      drillSchedule,
      pruneSchedule,
      verifyPeriodMs,
      onOneDisk,
      embeddedDatabase: parts.configuration.database.kind === 'embedded',
    });
  } finally {
    await cluster.database.close();
  }
}

/** A log has no use for a bar; what a person should read goes there. */
const logged = (log: (message: string) => void): Progress => ({
  phase: () => {},
  advance: () => {},
  note: log,
  end: () => {},
});
