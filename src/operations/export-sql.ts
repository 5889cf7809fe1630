import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { manifestPath } from '#format/layout.ts';
import { openManifest, type Manifest } from '#format/manifest.ts';
import { insertStatements } from '#format/sql-inserts.ts';
import { documentLimits } from '#keys/signed-document.ts';
import type { BackupId } from '#model/identifiers.ts';
import { fetchChunk } from '#pipeline/fetch-chunk.ts';
import type { BadObject } from '#pipeline/worker-protocol.ts';
import type { ByteSink } from '#ports/byte-sink.ts';
import { exportSchema, type ExportSchema } from '#store/export-schema.ts';
import { beginMarkerStatements, completeMarkerStatement } from '#store/import-marker.ts';
import { migrationTableStatements } from '#store/migrate.ts';
import { loadMigrations } from '#store/migrations.ts';
import type { OperationContext } from './context.ts';
import { checkSchema } from './load-backup.ts';
import type { Repository } from './open-repository.ts';
import { storedChunks } from './read-manifest.ts';
import { beginReading, type ReadingTime } from './reading-time.ts';
import { recordVerification } from './record-verification.ts';

export interface ExportedSql {
  readonly id: BackupId;
  readonly tables: number;
  readonly rows: number;
  readonly bytes: number;
  readonly statements: number;
  /** Objects that were bad and whose rows came from another object. */
  readonly healed: readonly BadObject[];
}

/**
 * Writes a backup as SQL that PostgreSQL and CockroachDB replay into an empty database, chunk by chunk as each was
 * authenticated. No database is needed. Throws what a restore throws while it reads; what was written then lacks its last
 * statement, and a manager does not serve it.
 */
export async function exportSql(
  context: OperationContext,
  repository: Repository,
  id: BackupId,
  sink: ByteSink,
): Promise<ExportedSql> {
  const { bytes: manifestBytes, manifest } = await readManifestBytes(repository, id);
  checkSchema(manifest);
  const out = new StatementWriter(sink);
  const healed: BadObject[] = [];
  const begun = beginReading(context.clock);
  context.progress.phase('writing SQL', manifest.summary.logicalBytes);
  const schema = exportSchema(loadMigrations(), manifest.summary.schemaVersion);
  await out.text(preamble(manifest));
  for (const statement of beginMarkerStatements(manifestBytes)) await out.statement(statement);
  context.crashPoints.reach('export.begun');
  await writeSchema(out, schema, manifest);
  for await (const { statements, bad, rowBytes } of exportedChunks(context, repository, manifest)) {
    for (const statement of statements) await out.bytes(statement);
    if (bad !== undefined) healed.push(bad);
    context.progress.advance(rowBytes);
    context.crashPoints.reach('export.chunk-written');
  }
  for (const statement of [...schema.indexes, ...schema.foreignKeys]) await out.statement(statement);
  context.signal.throwIfAborted();
  await out.statement(completeMarkerStatement);
  context.crashPoints.reach('export.written');
  await reportHealed(context, repository, id, healed, begun);
  context.progress.end();
  const { rows } = manifest.summary;
  return { id, tables: manifest.tables.length, rows, bytes: out.written, statements: out.statements, healed };
}

async function readManifestBytes(
  { store, keyring }: Repository,
  id: BackupId,
): Promise<{ readonly bytes: Buffer; readonly manifest: Manifest }> {
  const bytes = await store.get(manifestPath(id), { maxBytes: documentLimits.manifest });
  if (bytes === undefined) throw new EnclaveManagerError('not-found', `there is no backup ${id} in ${store.location}`);
  return { bytes, manifest: openManifest(keyring, id, bytes) };
}

/** The settings decide how what follows is read; CockroachDB knows them with these values. */
function preamble({ summary }: Manifest): string {
  return `-- Enclave Manager ${summary.productVersion}, cluster ${summary.clusterId}
-- Backup ${summary.id}, sequence ${summary.sequence}, taken ${summary.startedAt}, schema ${summary.schemaVersion}
--
-- Names, events and hashes can be read here. Secrets are sealed: only enrolled hosts open them.
-- Replay it whole into an empty database, for example: psql -v ON_ERROR_STOP=1 -f FILE
-- Then start the manager: it compares every row with the backup before it serves.

SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SET search_path = public;
SET statement_timeout = 0;

`;
}

async function writeSchema(out: StatementWriter, schema: ExportSchema, { summary }: Manifest): Promise<void> {
  const applied = loadMigrations().slice(0, summary.schemaVersion);
  const migrationTable = migrationTableStatements(applied, new Date(summary.startedAt));
  for (const statement of [...schema.tables, ...migrationTable]) await out.statement(statement);
}

interface ExportedChunk {
  readonly statements: Iterable<Buffer>;
  readonly bad: BadObject | undefined;
  readonly rowBytes: number;
}

/** Reads ahead by one chunk. A chunk is authenticated whole before its first row is written. */
async function* exportedChunks(
  context: OperationContext,
  { store, keyring }: Repository,
  manifest: Manifest,
): AsyncGenerator<ExportedChunk> {
  const keys = manifest.summary.epochs.map((epoch) => keyring.epochKeys(epoch));
  const work = manifest.tables.flatMap((table) => storedChunks(manifest, table).map((chunk) => ({ table, chunk })));
  const fetched = (index: number) => {
    const next = work[index];
    if (next === undefined) return undefined;
    const reading = fetchChunk(store, keys, next.chunk);
    // It is awaited in its turn; until then a failure must not count as unhandled.
    reading.catch(() => {});
    return reading;
  };
  let reading = fetched(0);
  for (const [index, { table, chunk }] of work.entries()) {
    const { rows, bad } = await reading!;
    context.signal.throwIfAborted();
    reading = fetched(index + 1);
    yield { statements: insertStatements(table, rows), bad, rowBytes: chunk.rowBytes };
  }
}

/** The next backup stores what was found bad anew; a repository that takes no writes is no reason not to export from it. */
async function reportHealed(
  context: OperationContext,
  { store, keyring }: Repository,
  id: BackupId,
  healed: readonly BadObject[],
  begun: ReadingTime,
): Promise<void> {
  for (const { name, healedBy } of healed)
    context.progress.note(`chunk object ${name} is damaged; its rows came from ${healedBy}`);
  if (healed.length === 0) return;
  const bad = healed.map(({ name }) => name);
  const outcome = { backups: [id], level: 'all-chunks' as const, begun, passed: true, objects: null, bad };
  await recordVerification(context, { store, keyring }, outcome).catch(() => {});
}

class StatementWriter {
  readonly #sink: ByteSink;
  written = 0;
  statements = 0;

  constructor(sink: ByteSink) {
    this.#sink = sink;
  }

  async text(text: string): Promise<void> {
    await this.#write(Buffer.from(text));
  }

  async statement(statement: string): Promise<void> {
    await this.bytes(Buffer.from(`${statement};\n`));
  }

  async bytes(statement: Buffer): Promise<void> {
    this.statements += 1;
    await this.#write(statement);
  }

  async #write(bytes: Buffer): Promise<void> {
    await this.#sink.write(bytes);
    this.written += bytes.length;
  }
}
