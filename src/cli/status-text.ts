import type { Finding } from '#model/health.ts';
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
    ['Backups', `${counted(status.backups, 'backup')} in ${status.repository ?? 'no repository'}`],
    ['Database', `"${status.database.name}", ${status.database.engine}, schema ${status.database.schemaVersion}`],
    ['Cluster', status.clusterId],
    ['Cluster key', status.clusterKey],
    ...scheduleFields(status),
    ...status.leftDatabases.map(({ name }) => ['Left over', `${name}: restore cleanup`] as const),
  ]);
  return `${headline}\n\n${fields}${findingsText(status.findings, style)}`;
}

function scheduleFields({ schedules, inGrace }: Status): (readonly [string, string])[] {
  return [
    ['Next backup', nextRun(schedules.backup)],
    ['Next drill', nextRun(schedules.drill)],
    ['Next reading', nextRun(schedules.verify)],
    ['Next prune', `${nextRun(schedules.prune)}${waiting(inGrace)}`],
  ];
}

const waiting = (inGrace: Status['inGrace']): string =>
  inGrace === null || inGrace.objects === 0
    ? ''
    : `; ${counted(inGrace.objects, 'object')} to be deleted after the grace`;

/** When it is due, by which schedule, and what became of the runs before. */
export function nextRun({ schedule, nextDue, overdue, history }: ScheduleStatus): string {
  if (nextDue === null) return schedule === null ? 'none, by setting' : 'none yet';
  return `${formatTime(nextDue)}${overdue ? ', OVERDUE' : ''} (${schedule ?? ''})${runsBefore(history)}`;
}

function runsBefore(history: ScheduleStatus['history']): string {
  const [last] = history;
  if (last === undefined) return '';
  const failed = history.filter(({ outcome }) => outcome === 'failed' || outcome === 'interrupted').length;
  const failures = failed === 0 ? '' : `, ${failed} of the last ${counted(history.length, 'run')} did not succeed`;
  return `; last run ${last.outcome}${failures}`;
}

export function lastBackup({ lastBackup: backup }: Status): string {
  if (backup === null) return 'none';
  const read = backup.verified === null ? 'NOT read back' : 'read back';
  return `${formatTime(backup.startedAt)}, ${counted(backup.rows, 'row')}, ${formatSize(backup.logicalBytes)}, ${read}`;
}

export function lastDrill({ lastDrill: drill }: Status): string {
  if (drill === null) return 'none: no restore was ever tried';
  return `${drill.passed ? 'passed' : 'FAILED'} in ${formatDuration(drill.durationMs)}, ${formatTime(drill.at)}`;
}

const openers = ({ openers: nodes }: Status): string =>
  nodes.length === 0
    ? 'no host'
    : nodes.map(({ name, site }) => (site === null ? name : `${name} (${site})`)).join(', ');

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
