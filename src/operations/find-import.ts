import { EnclaveManagerError, isEnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { readManifestSummary } from '#format/manifest.ts';
import type { BackupSummary } from '#model/backup.ts';
import type { Database, DatabaseServer } from '#ports/database.ts';
import { readLifeMark } from '#store/life-seal.ts';
import { hasImportMarker, importMarkerStamp, readImportMarker, type ImportMarkerState } from '#store/import-marker.ts';
import { askLive } from './ask-live.ts';

/** An export that was replayed into the live database and does not serve yet. */
export interface FoundImport {
  /** `unreadable`: somebody made something else of it. */
  readonly state: ImportMarkerState | 'unreadable';
  /** What its manifest says in clear; nothing of it is proved. `undefined` where it cannot be read, or is not all there. */
  readonly summary: BackupSummary | undefined;
}

/** `undefined` where there is no live database, or no import in it. */
export async function findImport(server: DatabaseServer): Promise<FoundImport | undefined> {
  return await askLive(server, describeImport);
}

/** The same question without reading it. */
export async function hasImport({ server }: { readonly server: DatabaseServer }): Promise<boolean> {
  return (await askLive(server, hasImportMarker)) ?? false;
}

/** Another one whenever there is something new to look at; `undefined` where there is no import. */
export async function findImportStamp(server: DatabaseServer): Promise<string | undefined> {
  return await askLive(server, async (database, identity) => {
    const stamp = await importMarkerStamp(database);
    return stamp && `${identity} ${stamp}`;
  });
}

/** The same, and where there is no import whatever says that the live database may serve. */
export async function findLiveStamp(server: DatabaseServer): Promise<string | undefined> {
  return (await findImportStamp(server)) ?? (await askLive(server, readLifeMark));
}

async function describeImport(database: Database): Promise<FoundImport | undefined> {
  try {
    const marker = await readImportMarker(database);
    return marker && { state: marker.state, summary: summaryOf(marker.manifest) };
  } catch (error) {
    if (isEnclaveManagerError(error, 'damaged') || isEnclaveManagerError(error, 'version-incompatible'))
      return { state: 'unreadable', summary: undefined };
    throw error;
  }
}

function summaryOf(manifest: Buffer): BackupSummary | undefined {
  try {
    return readManifestSummary(manifest).summary;
  } catch (error) {
    if (isEnclaveManagerError(error)) return undefined;
    throw error;
  }
}

/** For whoever needs the live database and must not touch one that nobody has checked. */
export async function importPending(database: Database, server: DatabaseServer): Promise<EnclaveManagerError> {
  const found = await describeImport(database);
  const what = found?.summary === undefined ? 'an export' : `an export of backup ${found.summary.id}`;
  const where = `the database "${server.liveName}" at ${server.location}`;
  if (found?.state === 'complete') {
    return new EnclaveManagerError('import-pending', `${what} was replayed into ${where}; nobody has checked it yet`, {
      hint: 'Start the manager (serve): it compares every row with the backup and then serves.',
    });
  }
  return incompleteImport(what, where);
}

export function incompleteImport(what: string, where: string): EnclaveManagerError {
  return new EnclaveManagerError(
    'import-pending',
    `the replay of ${what} into ${where} is incomplete: its last statement has not run`,
    {
      hint: 'Wait until psql has ended. If it stopped, drop and create the database and replay the whole file again, or restore instead: restore run latest.',
    },
  );
}
