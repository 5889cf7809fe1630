import { EnclaveManagerError, isEnclaveManagerError } from '#errors/enclave-manager-error.ts';
import type { Manifest } from '#format/manifest.ts';
import { timedId, type BackupId } from '#model/identifiers.ts';
import { digestKeyBytes, sumOfDigests } from '#pipeline/row-digest.ts';
import { WorkerPool } from '#pipeline/worker-pool.ts';
import type { Database } from '#ports/database.ts';
import type { ScratchServers } from '#ports/scratch-server.ts';
import { migrate } from '#store/migrate.ts';
import { type OperationContext } from './context.ts';
import { loadBackup, type LoadedBackup } from './load-backup.ts';
import { prepareStaging } from './prepare-staging.ts';
import { readManifest } from './read-manifest.ts';
import { beginReading } from './reading-time.ts';
import { recordVerification, type VerifiedRepository } from './record-verification.ts';
import { threadsFor } from './stream-tables.ts';
import { verifyBackups } from './verify-backup.ts';

export interface DrillResult {
  readonly id: BackupId;
  readonly at: string;
  readonly durationMs: number;
  readonly tables: number;
  readonly rows: number;
  readonly logicalBytes: number;
}

/** The bytes may be right and the backup of no use all the same. */
const notRestorable = ['rows-differ', 'forged', 'restore-failed'] as const;

/** Room for indexes, dead space and the write-ahead log beside the rows themselves. */
const spaceFactor = 4;
const spaceFloorBytes = 1024 * 1024 * 1024;

/**
 * Restores a backup into a private server, reads every table back, compares each with the backup by an
 * order-independent digest of its rows, makes it ready to serve as a restore does before it swaps, removes the server, and
 * records the result, signed: also a failure.
 *
 * Throws `rows-differ`, `damaged`, `forged`, `restore-failed`, `no-space`, `no-key` and what the ports throw.
 */
export async function drillBackup(
  context: OperationContext,
  repository: VerifiedRepository,
  scratch: ScratchServers,
  id: BackupId,
): Promise<DrillResult> {
  const { store, keyring } = repository;
  const begunMs = context.clock.monotonicMs();
  const begun = beginReading(context.clock);
  const manifest = await readManifest(store, keyring, id);
  const { logicalBytes, rows } = manifest.summary;
  const elapsedMs = (): number => Math.round(context.clock.monotonicMs() - begunMs);
  const record = async (passed: boolean, bad: readonly string[]): Promise<void> => {
    const drill = { durationMs: elapsedMs() };
    await recordVerification(context, repository, {
      backups: [id],
      level: 'restored',
      begun,
      passed,
      objects: null,
      bad,
      drill,
    });
  };
  try {
    const { healed } = await restoreAndCompare(context, repository, scratch, manifest);
    await record(
      true,
      healed.map(({ name }) => name),
    );
  } catch (error) {
    if (notRestorable.some((code) => isEnclaveManagerError(error, code))) await record(false, []);
    if (isEnclaveManagerError(error, 'damaged')) await record(false, await findDamage(context, repository, id));
    throw error;
  }
  context.progress.end();
  return {
    id,
    at: context.clock.now().toISOString(),
    durationMs: elapsedMs(),
    tables: manifest.tables.length,
    rows,
    logicalBytes,
  };
}

/** Which objects are bad, all of them: what is recorded so is stored anew by the next backup. */
async function findDamage(context: OperationContext, repository: VerifiedRepository, id: BackupId): Promise<string[]> {
  const { bad } = await verifyBackups(context, repository, [id]);
  return bad.map(({ name }) => name);
}

async function restoreAndCompare(
  context: OperationContext,
  repository: VerifiedRepository,
  scratch: ScratchServers,
  manifest: Manifest,
): Promise<LoadedBackup> {
  context.progress.phase('starting a private database');
  const maxBytes = manifest.summary.logicalBytes * spaceFactor + spaceFloorBytes;
  const { server, overLimit, remove } = await scratch.start({ maxBytes });
  const limited = { ...context, signal: AbortSignal.any([context.signal, overLimit]) };
  try {
    await server.createDatabase(server.liveName);
    const database = server.open(server.liveName);
    try {
      const digestKey = context.randomness.bytes(digestKeyBytes);
      const loaded = await loadBackup(limited, repository, manifest, database, { digestKey });
      await compareRows(limited, manifest, database, loaded, digestKey);
      await makeReady(limited, repository, manifest, database);
      return loaded;
    } finally {
      await database.close();
    }
  } catch (error) {
    // The server was stopped because it grew too large: that is the cause, not the connections it ended.
    overLimit.throwIfAborted();
    throw error;
  } finally {
    await remove();
  }
}

/** Whoever wrote rows before the backup may have written some with which no database could begin to serve. */
async function makeReady(
  context: OperationContext,
  { keyring }: VerifiedRepository,
  manifest: Manifest,
  database: Database,
): Promise<void> {
  context.progress.phase('making it ready to serve');
  const restoreId = timedId(context.clock.now(), context.randomness.bytes(6));
  try {
    await migrate(database);
    const restored = { keyring, manifest, incarnations: [] };
    await prepareStaging(context, database, restored, null, { restoreId, safetyBackupId: null, beforeDatabase: null });
  } catch (error) {
    if (isEnclaveManagerError(error) || context.signal.aborted) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    const { id } = manifest.summary;
    throw new EnclaveManagerError(
      'restore-failed',
      `backup ${id} loads, but cannot be made ready to serve: ${reason}`,
      {
        cause: error,
        hint: 'Restore another backup (backup list). Find out who else writes to the database.',
      },
    );
  }
}

async function compareRows(
  context: OperationContext,
  manifest: Manifest,
  database: Database,
  loaded: LoadedBackup,
  digestKey: Uint8Array,
): Promise<void> {
  context.progress.phase('comparing every row', manifest.summary.logicalBytes);
  const snapshot = await database.snapshot(manifest.tables.map(({ name }) => name));
  const pool = new WorkerPool(
    context.startWorker,
    { keys: [], read: { connection: database.connection, snapshot: snapshot.token } },
    {
      threads: threadsFor(context, manifest.summary.logicalBytes),
      signal: context.signal,
      onEvent: (event) => {
        if (event.event === 'bytes') context.progress.advance(event.count);
      },
    },
  );
  try {
    for (const table of manifest.tables) {
      const ranges = await snapshot.ranges(table.name);
      const parts = await pool.performAll(ranges.map((range) => ({ kind: 'digest-range' as const, range, digestKey })));
      const restored = sumOfDigests(parts.map(({ digest }) => digest));
      if (!restored.equals(sumOfDigests(loaded.digests.get(table.name) ?? []))) {
        throw new EnclaveManagerError(
          'rows-differ',
          `table "${table.name}" restored from backup ${manifest.summary.id} does not hold the rows of the backup`,
        );
      }
    }
  } finally {
    await pool.close();
    await snapshot.close();
  }
}
