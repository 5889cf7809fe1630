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

function scheduleFields({ schedules }: Status): (readonly [string, string])[] {
  return [
    ['Next backup', next(schedules.backup)],
    ['Next drill', next(schedules.drill)],
    ['Next reading', next(schedules.verify)],
  ];
}

function next({ schedule, nextDue, overdue, history }: ScheduleStatus): string {
  if (nextDue === null) return schedule === null ? 'none, by setting' : 'none yet';
  const last = history[0];
  const lastRun = last === undefined ? '' : `; last run ${last.outcome}`;
  return `${formatTime(nextDue)}${overdue ? ', OVERDUE' : ''} (${schedule ?? ''})${lastRun}`;
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
export function findingsText(findings: readonly Finding[], style: Style): string {
  return findings
    .map(({ severity, message, hint }) => {
      const mark = severity === 'problem' ? style.bad('Problem:') : style.warn('Warning:');
      return `\n${mark}\n${wrap(`${printable(message)}.`, '  ')}${wrap(printable(hint), '  ')}`;
    })
    .join('');
}
