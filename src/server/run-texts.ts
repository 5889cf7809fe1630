import type { BackupResult } from '#operations/create-backup.ts';
import type { DrillResult } from '#operations/drill-backup.ts';
import type { PruneResult } from '#operations/prune.ts';
import type { VerificationResult } from '#operations/verify-backup.ts';

/** Lines for the log of `serve`. */
export const describeBackup = (result: BackupResult): string =>
  `backup ${result.id}, sequence ${result.sequence}: ${result.rows} rows of ${result.tables} tables, ` +
  `${result.newChunks} new chunks, ${result.durationMs} ms`;

export const describeDrill = (result: DrillResult): string =>
  `drill of backup ${result.id} passed: ${result.rows} rows of ${result.tables} tables compared, ${result.durationMs} ms`;

export function describeVerification({ backups, chunks, failed }: VerificationResult): string {
  const read = `${chunks} chunks of ${backups.length} backups read back`;
  if (failed.length === 0) return `${read}, all good`;
  return `${read}; LOST chunks in ${failed.join(', ')}: the next backup stores those that the database still has`;
}

export const describePrune = ({ removed, kept, condemned, deleted, inGrace }: PruneResult): string =>
  `prune removed ${removed.length} of ${removed.length + kept.length} backups; ${condemned.objects} objects recorded to be deleted, ` +
  `${deleted.objects} deleted (${deleted.bytes} bytes), ${inGrace.objects} wait`;
