import type { Finding } from '#model/health.ts';
import { unknownBecause, type UnknownCause } from '#model/unknown.ts';
import type { ScheduleStatus, Status } from '#operations/read-status.ts';
import { wrap } from './help.ts';
import { printable, type Style } from './output/style.ts';
import { formatFields } from './output/table.ts';
import { counted, formatDuration, formatSize, formatTime } from './output/units.ts';

export function statusText(status: Status, style: Style): string {
  const headline = status.healthy ? style.good('Healthy') : style.bad('Not healthy');
  const fields = formatFields([
    ['Last backup', lastBackup(status)],
    ['Last drill', lastDrill(status)],
    ['Opened by', openers(status)],
    ['Backups', backups(status)],
    ['Database', `"${status.database.name}", ${status.database.engine}, schema ${status.database.schemaVersion}`],
    ['Cluster', status.clusterId],
    ['Cluster key', status.clusterKey],
    ...scheduleFields(status),
    ...status.leftDatabases.map(({ name }) => ['Left over', `${name}: restore cleanup`] as const),
  ]);
  return `${headline}\n\n${fields}${findingsText(status.findings, style)}`;
}

function backups({ backups: count, repository }: Status): string {
  const where = repository ?? 'no repository';
  return count === null ? `unknown, in ${where}` : `${counted(count, 'backup')} in ${where}`;
}

function scheduleFields({ schedules, inGrace, unknown }: Status): (readonly [string, string])[] {
  return [
    ['Next backup', nextRun(schedules.backup, unknown)],
    ['Next drill', nextRun(schedules.drill, unknown)],
    ['Next reading', nextRun(schedules.verify, unknown)],
    ['Next prune', `${nextRun(schedules.prune, unknown)}${waiting(inGrace)}`],
  ];
}

const waiting = (inGrace: Status['inGrace']): string =>
  inGrace === null || inGrace.objects === 0
    ? ''
    : `; ${counted(inGrace.objects, 'object')} to be deleted after the grace`;

/** When it is due, by which schedule, and what became of the runs before. */
export function nextRun({ schedule, nextDue, overdue, history }: ScheduleStatus, unknown: UnknownCause | null): string {
  if (nextDue === null && schedule === null) return 'none, by setting';
  if (nextDue === null) return unknown === null ? 'none yet' : 'unknown';
  return `${formatTime(nextDue)}${overdue ? ', OVERDUE' : ''} (${schedule ?? ''})${runsBefore(history)}`;
}

function runsBefore(history: ScheduleStatus['history']): string {
  const [last] = history;
  if (last === undefined) return '';
  const failed = history.filter(({ outcome }) => outcome === 'failed' || outcome === 'interrupted').length;
  const failures = failed === 0 ? '' : `, ${failed} of the last ${counted(history.length, 'run')} did not succeed`;
  return `; last run ${last.outcome}${failures}`;
}

export function lastBackup({ lastBackup: backup, unknown }: Status): string {
  if (unknown !== null) return unknownBecause(unknown);
  if (backup === null) return 'none';
  const read = backup.verified === null ? 'NOT read back' : 'read back';
  return `${formatTime(backup.startedAt)}, ${counted(backup.rows, 'row')}, ${formatSize(backup.logicalBytes)}, ${read}`;
}

export function lastDrill({ lastDrill: drill, unknown }: Status): string {
  if (unknown !== null) return 'unknown';
  if (drill === null) return 'none: no restore was ever tried';
  return `${drill.passed ? 'passed' : 'FAILED'} in ${formatDuration(drill.durationMs)}, ${formatTime(drill.at)}`;
}

function openers({ openers: nodes }: Status): string {
  if (nodes === null) return 'unknown';
  if (nodes.length === 0) return 'no host';
  return nodes.map(({ name, site }) => (site === null ? name : `${name} (${site})`)).join(', ');
}

/** Problems and warnings, each with its way out. */
export function findingsText(
  findings: readonly Pick<Finding, 'severity' | 'message' | 'hint'>[],
  style: Style,
): string {
  return findings
    .map(({ severity, message, hint }) => {
      const mark = severity === 'problem' ? style.bad('Problem:') : style.warn('Warning:');
      return `\n${mark}\n${wrap(`${printable(message)}.`, '  ')}${wrap(printable(hint), '  ')}`;
    })
    .join('');
}
