import type { ErrorCode } from '#errors/codes.ts';
import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { manifestPath } from '#format/layout.ts';
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

export interface UnlistedBackup {
  readonly code: ErrorCode;
  readonly message: string;
  /** What new keys would disown. */
  readonly lost: string;
  readonly hint: string;
}

/**
 * Where the newest backup of the database is not in this repository, and newer than all that are: retention never removes the
 * newest, so another host has another repository, or somebody deleted it. Where its manifest lies there, it is that which is none.
 */
export function describeUnlisted(
  run: Run | undefined,
  { backups, rejected }: Catalog,
  { location }: Pick<ObjectStore, 'location'>,
): UnlistedBackup | undefined {
  if (run?.backupId == null || !isBackupId(run.backupId)) return undefined;
  const entries = backups.map(({ entry }) => entry);
  if (entries.some(({ id }) => id === run.backupId)) return undefined;
  const newest = entries.find(({ kind }) => kind !== 'safety');
  if (newest !== undefined && Date.parse(newest.startedAt) >= run.beganAt.getTime()) return undefined;
  const path = manifestPath(run.backupId);
  const found = rejected.find((each) => each.path === path);
  const what = `the newest backup of this database, ${run.backupId},`;
  if (found !== undefined) {
    return {
      code: found.code,
      message: `${what} lies in ${location} and is no backup of this cluster: ${found.reason}`,
      lost: 'it',
      hint: `Put ${path} back from a copy. ${lostForGood}`,
    };
  }
  return {
    code: 'configuration',
    message: `${what} is not in ${location}: another host uses another repository, or it was lost`,
    lost: 'what lies elsewhere',
    hint: `Set ENCLAVE_MANAGER_REPOSITORY to the same repository on every host. ${lostForGood}`,
  };
}

const lostForGood = 'Where that backup is lost for good, the next one here ends this: backup create.';

/** New keys would disown every backup in a repository that this manager does not see, and what it cannot read. */
export function refuseUnlisted(unlisted: UnlistedBackup | undefined, newest: number): void {
  if (unlisted === undefined) return;
  const { code, message, lost, hint } = unlisted;
  throw new EnclaveManagerError(code, `${message}; new keys would disown ${lost}`, {
    hint: `${hint} To lose ${lost}: --accept-missing-after ${newest}.`,
  });
}
