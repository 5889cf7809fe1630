import { EnclaveManagerError, isEnclaveManagerError } from '#errors/enclave-manager-error.ts';
import type { Manifest } from '#format/manifest.ts';
import type { BackupKind, Verified } from '#model/backup.ts';
import { timedId, type BackupId } from '#model/identifiers.ts';
import type { ObjectStore } from '#ports/object-store.ts';
import type { Snapshot } from '#ports/database.ts';
import type { Lease } from '#store/held-lease.ts';
import { acquireLease } from '#store/leases.ts';
import { appliedMigrations, checkMigrations, requireRecorded, schemaVersion } from '#store/migrate.ts';
import { backedUpTables } from '#store/migrations.ts';
import { BackupAge } from './backup-age.ts';
import { completeKeyring } from './adopt-repository.ts';
import { cancellable } from './cancellable.ts';
import { checkMarker } from './check-marker.ts';
import { commitManifest } from './commit-manifest.ts';
import { readCompleteCatalog } from './complete-catalog.ts';
import { composeManifest } from './compose-manifest.ts';
import { confirmListed, confirmObjects } from './confirm-objects.ts';
import { operationLease, type Cluster, type OperationContext } from './context.ts';
import { requireCurrentKeys } from './current-keys.ts';
import { emptiedTables } from './emptied-tables.ts';
import { readKnownObjects, type KnownObjects } from './known-objects.ts';
import { refuseLifeListedSince, refuseOlderLife } from './newer-life.ts';
import { readBack } from './read-back.ts';
import type { Catalog } from './read-catalog.ts';
import { condemnedNames, readCondemned } from './read-condemned.ts';
import type { ReadingTime } from './reading-time.ts';
import { recordVerification } from './record-verification.ts';
import { recordedRun } from './recorded-run.ts';
import { rememberedSequence, rememberSequence } from './remember-sequence.ts';
import { requireStore } from './require-store.ts';
import { maxPasses, notRetained, retainReused, withoutObjects } from './retain-objects.ts';
import { noteStrangeTables } from './strange-tables.ts';
import { closeBegunEpochs } from './store-keys.ts';
import { streamTables, type StreamedTables } from './stream-tables.ts';

export interface BackupResult {
  readonly id: BackupId;
  readonly kind: BackupKind;
  readonly sequence: number;
  readonly startedAt: string;
  readonly durationMs: number;
  readonly tables: number;
  readonly rows: number;
  readonly logicalBytes: number;
  readonly newChunks: number;
  readonly newBytes: number;
  readonly totalChunks: number;
  readonly totalBytes: number;
  readonly verified: Verified | null;
  readonly clusterKey: string;
}

/**
 * Backs up the live database: lease, snapshot, rows into chunks, independent count, objects confirmed and read back,
 * and last the signed manifest, whose existence is the commit. Interrupted anywhere, nothing is listed, and the next
 * backup reuses the chunks that are there.
 *
 * Throws `lease-held`, `superseded`, `rows-differ`, `damaged`, and what the ports throw.
 */
export async function createBackup(
  context: OperationContext,
  cluster: Cluster,
  options: { readonly kind: BackupKind },
): Promise<BackupResult> {
  const lease = await acquireLease(cluster.database, { ...operationLease, holder: context.holder }, context);
  try {
    context.crashPoints.reach('backup.lease-taken');
    const cause = options.kind === 'scheduled' ? 'schedule' : 'manual';
    return await recordedRun(context, cluster.database, { kind: 'backup', cause }, () =>
      backUpUnderLease(context, cluster, { ...options, lease }),
    );
  } finally {
    await lease.release();
  }
}

/** The same for an operation that holds the lease already, such as a restore taking its safety backup. */
export async function backUpUnderLease(
  given: OperationContext,
  cluster: Cluster,
  options: { readonly kind: BackupKind; readonly lease: Lease },
): Promise<BackupResult> {
  const context = { ...given, signal: AbortSignal.any([given.signal, options.lease.lost]) };
  const store = requireStore(cluster.store);
  const begunMs = context.clock.monotonicMs();
  const startedAt = context.clock.now();
  const id = timedId(startedAt, context.randomness.bytes(6));
  const age = await BackupAge.begin(context.clock, cluster.database.queries);

  const { catalog, known } = await lookAtRepository(context, cluster, store, options);
  const { streamed, reading, usable, schemaVersion: schema } = await streamRetained(context, cluster, store, known);
  await confirmObjects(context, store, streamed.objects);

  context.progress.phase('listing the backup');
  const sequence = 1 + Math.max(catalog.highestSequence, await rememberedSequence(cluster));
  const manifest = await composeManifest(cluster, streamed, {
    id,
    kind: options.kind,
    sequence,
    startedAt: startedAt.toISOString(),
    endedAt: context.clock.now().toISOString(),
    schemaVersion: schema,
    warnings: await emptiedTables(store, cluster.keyring, catalog, streamed.tables),
  });
  if (options.kind !== 'safety') await refuseLifeListedSince(store, cluster, catalog);
  await commitManifest(context, store, cluster, { manifest, lease: options.lease, age });
  await confirmListed(context, store, manifest);
  await recordReading(context, store, cluster, { id, reading, streamed });
  await rememberSequence(cluster, sequence);
  sayWhatHappened(context, manifest, usable, streamed);
  context.progress.end();
  return {
    ...resultOf(manifest, streamed),
    durationMs: Math.round(context.clock.monotonicMs() - begunMs),
    verified: verifiedNow(reading.at, streamed, catalog),
    clusterKey: cluster.keyring.fingerprint,
  };
}

/** Whose repository it is, what is listed in it, and which chunks need not be stored again. */
async function lookAtRepository(
  context: OperationContext,
  cluster: Cluster,
  store: ObjectStore,
  { kind, lease }: { readonly kind: BackupKind; readonly lease: Lease },
): Promise<{ readonly catalog: Catalog; readonly known: KnownObjects }> {
  const { keyring, database } = cluster;
  context.progress.phase('looking at the repository');
  await checkMarker(store, keyring);
  await requireCurrentKeys(keyring, { database, store });
  await closeBegunEpochs(store, keyring, { check: () => lease.assertHeld() });
  await completeKeyring(store, keyring.documents);
  // First: what prune deletes while the rest is read was condemned before.
  const condemned = condemnedNames(await readCondemned(store, keyring));
  const catalog = await readCompleteCatalog(store, keyring, context.clock.now());
  // What a restore is about to replace may be an older life: it is never the latest.
  if (kind !== 'safety') await refuseOlderLife(cluster, catalog);
  return { catalog, known: await readKnownObjects(store, catalog, condemned) };
}

/** Streams until every object that is used again is retained: one that cannot be is stored anew with the next snapshot. */
async function streamRetained(context: OperationContext, cluster: Cluster, store: ObjectStore, known: KnownObjects) {
  for (let usable = known, passes = 1; ; passes += 1) {
    const from = usable;
    const pass = await cancellable(context, cluster.database, () => streamSnapshot(context, cluster, from));
    const released = await retainReused(context, store, cluster.keyring, pass.streamed);
    if (released.length === 0) return { ...pass, usable };
    if (passes === maxPasses) throw notRetained(store, released);
    usable = withoutObjects(usable, released);
  }
}

async function streamSnapshot(
  context: OperationContext,
  cluster: Cluster,
  known: KnownObjects,
): Promise<{ readonly streamed: StreamedTables; readonly reading: ReadingTime; readonly schemaVersion: number }> {
  // A newer schema may have tables that this program would leave out.
  checkMigrations(await appliedMigrations(cluster.database.queries), `database "${cluster.database.name}"`);
  const schema = await schemaVersion(cluster.database);
  const tables = backedUpTables(schema);
  await noteStrangeTables(context, cluster.database);
  const snapshot = await cluster.database.snapshot(tables);
  try {
    await requireSchema(cluster, schema);
    context.crashPoints.reach('backup.snapshot-taken');
    return await streamTables(context, cluster, snapshot, { tables, known }, async (streamed, threads) => {
      context.crashPoints.reach('backup.chunks-stored');
      // The server counts while the threads read back.
      const counted = countAgain(context, snapshot, streamed);
      counted.catch(() => {});
      const reading = await readBack(context, threads, streamed.stored);
      context.progress.phase('counting rows');
      await counted;
      context.signal.throwIfAborted();
      context.crashPoints.reach('backup.counted');
      return { streamed, reading, schemaVersion: schema };
    });
  } finally {
    await snapshot.close();
  }
}

/** The locks came after the version was read: a migration in between would make a backup that does not fit its own schema. */
async function requireSchema({ database }: Cluster, expected: number): Promise<void> {
  await requireRecorded(database.queries, `database "${database.name}"`);
  const now = await schemaVersion(database);
  if (now === expected) return;
  throw new EnclaveManagerError(
    'lease-held',
    `the schema of database "${database.name}" went from version ${expected} to ${now} while the backup began; nothing was listed`,
  );
}

/** The server counts on its own: a stream that ended early without an error shows here. */
async function countAgain(context: OperationContext, snapshot: Snapshot, streamed: StreamedTables): Promise<void> {
  for (const table of streamed.tables) {
    context.signal.throwIfAborted();
    const counted = await snapshot.countRows(table.name);
    if (counted !== table.rows) {
      throw new EnclaveManagerError(
        'rows-differ',
        `table "${table.name}" has ${counted} rows but ${table.rows} were read; nothing was listed`,
      );
    }
  }
}

interface Reading {
  readonly id: BackupId;
  readonly reading: ReadingTime;
  readonly streamed: StreamedTables;
}

async function recordReading(
  context: OperationContext,
  store: ObjectStore,
  { keyring }: Cluster,
  { id, reading, streamed }: Reading,
): Promise<void> {
  const objects = streamed.stored.map(({ object }) => object.name);
  const outcome = { backups: [id], level: 'new-chunks' as const, begun: reading, passed: true, objects };
  try {
    await recordVerification(context, { store, keyring }, outcome);
  } catch (error) {
    throw isEnclaveManagerError(error, 'lease-held') ? listedUnverified(id, error) : error;
  }
  context.crashPoints.reach('backup.verified');
}

/** It was listed while the lease was held, so that new keys accept it. */
function listedUnverified(id: BackupId, { message }: EnclaveManagerError): EnclaveManagerError {
  return new EnclaveManagerError('lease-held', `backup ${id} is listed, but not as verified: ${message}`, {
    hint: `Read it back: backup verify ${id}.`,
  });
}

/** Chunks stored now were read back now; the reused ones when a verification last read them. */
function verifiedNow(readAt: string, streamed: StreamedTables, catalog: Catalog): Verified | null {
  const fresh = new Set(streamed.stored.map(({ object }) => object.name));
  const reused = [...streamed.objects.keys()].filter((name) => !fresh.has(name));
  if (reused.some((name) => !catalog.readAt.has(name))) return null;
  const oldest = reused.reduce((time, name) => Math.min(time, catalog.readAt.get(name) ?? time), Date.parse(readAt));
  return { at: readAt, level: 'new-chunks', oldestReadAt: new Date(oldest).toISOString() };
}

function resultOf({ summary, tables }: Manifest, { stored }: StreamedTables) {
  const { id, kind, sequence, startedAt, rows, logicalBytes, chunks, storedBytes } = summary;
  const fresh = stored.filter(({ reused }) => !reused);
  const newBytes = fresh.reduce((sum, { object }) => sum + object.sizeBytes, 0);
  const totals = { newChunks: fresh.length, newBytes, totalChunks: chunks, totalBytes: storedBytes };
  return { id, kind, sequence, startedAt, tables: tables.length, rows, logicalBytes, ...totals };
}

function sayWhatHappened(
  { progress }: OperationContext,
  { warnings }: Manifest,
  { unusable }: KnownObjects,
  { repaired }: StreamedTables,
): void {
  for (const warning of warnings) progress.note(`warning: ${warning}`);
  for (const id of repaired) {
    progress.note(`repaired: ${unusable.get(id) ?? id}; its rows were stored anew, older backups use them too`);
  }
}
