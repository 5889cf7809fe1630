import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { isBackupId } from '#model/identifiers.ts';
import type { Clock } from '#ports/clock.ts';
import type { ObjectStore } from '#ports/object-store.ts';
import { listRuns, type Run } from '#store/runs.ts';
import type { Queries } from '#store/tables.ts';
import type { Catalog } from './read-catalog.ts';

/** The newest backup that the database says was taken. Read it before the catalogue: what is taken in between is not missing. */
export async function newestRecordedBackup(queries: Queries, { now }: Clock): Promise<Run | undefined> {
  const [run] = await listRuns(queries, { kind: 'backup', outcome: 'succeeded', beganUntil: now(), limit: 1 });
  return run;
}

/**
 * A sentence where the newest backup of the database is not in this repository, and newer than all that are: retention never
 * removes the newest, so another host has another repository, or somebody deleted it.
 */
export function describeUnlisted(
  run: Run | undefined,
  { backups }: Catalog,
  { location }: Pick<ObjectStore, 'location'>,
): string | undefined {
  if (run?.backupId == null || !isBackupId(run.backupId)) return undefined;
  const entries = backups.map(({ entry }) => entry);
  if (entries.some(({ id }) => id === run.backupId)) return undefined;
  const newest = entries.find(({ kind }) => kind !== 'safety');
  if (newest !== undefined && Date.parse(newest.startedAt) >= run.beganAt.getTime()) return undefined;
  return `the newest backup of this database, ${run.backupId}, is not in ${location}: another host uses another repository, or it was lost`;
}

export const unlistedHint =
  'Set ENCLAVE_MANAGER_REPOSITORY to the same repository on every host. Where that backup is lost for good, the next one here ends this: backup create.';

/** New keys would disown every backup in a repository that this manager does not see. Throws `configuration`. */
export function refuseUnlisted(sentence: string | undefined, newest: number): void {
  if (sentence === undefined) return;
  throw new EnclaveManagerError('configuration', `${sentence}; new keys would disown what lies elsewhere`, {
    hint: `${unlistedHint} To lose what lies elsewhere: --accept-missing-after ${newest}.`,
  });
}
