import { sql } from 'kysely';
import { EnclaveManagerError, isEnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { documentLimits } from '#keys/signed-document.ts';
import type { Database } from '#ports/database.ts';
import type { Queries } from './tables.ts';

/** The table by which a manager knows rows that were replayed from an export and that nobody has checked yet. */
export const importMarkerTable = 'import_marker';

/** Of the export as a whole; a reader refuses a higher one. */
const exportFormatVersion = 1;

/** Some servers take no statement much larger than this. */
const manifestPartBytes = 256 * 1024;
const maxParts = Math.ceil(documentLimits.manifest / manifestPartBytes) + 1;

/** `begun` until the last statement of the export has run. */
export type ImportMarkerState = 'begun' | 'complete';

export interface ImportMarker {
  readonly state: ImportMarkerState;
  /** The manifest of the backup as it lies in the repository. Nothing about it is proved yet; it may be cut off. */
  readonly manifest: Buffer;
}

/** `sealed_check` is of earlier releases, which believed it after a crash; nothing reads it any more. */
const createMarkerStatement = `CREATE TABLE ${importMarkerTable} (
  part INT8 PRIMARY KEY CHECK (part >= 0),
  format_version INT8 NOT NULL,
  state TEXT NOT NULL,
  manifest BYTEA NOT NULL,
  sealed_check BYTEA
)`;

/** An empty marker, to compare its definition with that of another. */
export async function createImportMarker(queries: Queries): Promise<void> {
  await sql.raw(createMarkerStatement).execute(queries);
}

/** The first statements of an export. */
export function* beginMarkerStatements(manifest: Uint8Array): Generator<string> {
  yield createMarkerStatement;
  for (let part = 0, begin = 0; begin < manifest.length; part += 1, begin += manifestPartBytes) {
    const hex = Buffer.from(manifest.subarray(begin, begin + manifestPartBytes)).toString('hex');
    yield (
      `INSERT INTO ${importMarkerTable} (part, format_version, state, manifest) VALUES\n` +
        `(${part}, ${exportFormatVersion}, 'begun', '\\x${hex}'::bytea)`
    );
  }
}

/** The last one. A condition, because CockroachDB's shell refuses an UPDATE without one. */
export const completeMarkerStatement = `UPDATE ${importMarkerTable} SET state = 'complete' WHERE part >= 0`;

/**
 * `undefined` where there is none. Whatever somebody made of the table is an error with a name: `damaged`, or
 * `version-incompatible` for an export of a newer release.
 */
export async function readImportMarker(database: Database): Promise<ImportMarker | undefined> {
  if (!(await hasImportMarker(database))) return undefined;
  try {
    return await readParts(database.queries);
  } catch (error) {
    if (isEnclaveManagerError(error)) throw error;
    throw unreadable(error instanceof Error ? error.message : String(error), error);
  }
}

export async function hasImportMarker(database: Database): Promise<boolean> {
  return (await database.tableNames()).includes(importMarkerTable);
}

/** Changes when the replay ends; `undefined` where there is no marker. Reads no manifest. */
export async function importMarkerStamp(database: Database): Promise<string | undefined> {
  if (!(await hasImportMarker(database))) return undefined;
  try {
    const { rows } = await sql<{ parts: number; states: string | null }>`SELECT count(*) AS parts,
      substring(max(state) FROM 1 FOR 20) AS states FROM ${sql.table(importMarkerTable)}`.execute(database.queries);
    return `${rows[0]?.parts} ${rows[0]?.states}`;
  } catch (error) {
    if (isEnclaveManagerError(error)) throw error;
    return 'unreadable';
  }
}

interface PartRow {
  readonly state: string;
  readonly format_version: number;
  readonly part: number;
  readonly size: number;
}

async function readParts(queries: Queries): Promise<ImportMarker> {
  const table = sql.table(importMarkerTable);
  const { rows: parts } = await sql<PartRow>`SELECT part, format_version, substring(state FROM 1 FOR 20) AS state,
    octet_length(manifest) AS size FROM ${table} ORDER BY part LIMIT ${sql.lit(maxParts + 1)}`.execute(queries);
  const newer = parts.find(({ format_version }) => format_version > exportFormatVersion);
  if (newer !== undefined) {
    throw new EnclaveManagerError(
      'version-incompatible',
      `the export in the database has format ${newer.format_version}; this program knows ${exportFormatVersion}`,
    );
  }
  const total = parts.reduce((sum, { size }) => sum + size, 0);
  const isTooLarge = parts.length > maxParts || parts.some(({ size }) => size > manifestPartBytes);
  if (isTooLarge || total > documentLimits.manifest) throw unreadable('its manifest is too large');
  const complete = parts.length > 0 && parts.every(({ state }) => state === 'complete');
  // Somebody may write more into it meanwhile.
  const { rows } = await sql<{ manifest: Buffer }>`SELECT substring(manifest FROM 1 FOR ${sql.lit(manifestPartBytes)})
    AS manifest FROM ${table} ORDER BY part LIMIT ${sql.lit(maxParts)}`.execute(queries);
  return {
    state: complete ? 'complete' : 'begun',
    manifest: Buffer.concat(rows.map(({ manifest }) => manifest)),
  };
}

/** Call it in the transaction after which the rows serve. */
export async function dropImportMarker(queries: Queries): Promise<void> {
  await sql`DROP TABLE ${sql.table(importMarkerTable)}`.execute(queries);
}

function unreadable(why: string, cause?: unknown): EnclaveManagerError {
  return new EnclaveManagerError('damaged', `the table ${importMarkerTable} is not what an export makes: ${why}`, {
    cause,
    hint: 'Drop and create the database, and replay an export that nobody changed.',
  });
}
