import { unknownBecause } from '#model/unknown.ts';
import type { StartReport } from '#operations/start-report.ts';
import { wrap } from './help.ts';
import { printable, type Style } from './output/style.ts';
import { counted, formatTime } from './output/units.ts';
import { findingsText, lastBackup, lastDrill, nextRun } from './status-text.ts';

const labelWidth = 13;

/** At most 80 columns, whatever lies where: long values continue under themselves. */
export function startScreen(report: StartReport, style: Style): string {
  const { status } = report;
  const sections = [
    `${style.bold(`Enclave Manager ${status.productVersion}`)} ${outcomes[report.outcome]}; it is up at ${report.address}\n`,
    section('What lies where', places(report), style),
    section('Proof', proof(report), style),
    section('Next', nextRuns(report), style),
    section('Recovery line: write it down, keep it elsewhere', recovery(report), style),
    findingsText(status.findings, style).slice(1),
    production(report, style),
    'Stop with Ctrl-C. In another terminal: enclave-manager status\n',
  ];
  return `\n${sections.filter((text) => text !== '').join('\n')}\n`;
}

const outcomes = {
  created: 'created a cluster',
  adopted: 'took over an empty repository',
  opened: 'found its state',
} as const;

type Field = readonly [label: string, value: string];

function section(title: string, fields: readonly Field[], style: Style): string {
  if (fields.length === 0) return '';
  const lines = fields.map(([label, value]) => {
    const indent = ' '.repeat(labelWidth + 2);
    return `  ${label.padEnd(labelWidth)}${wrapLong(printable(value), indent).slice(indent.length)}`;
  });
  return `${style.bold(title)}\n${lines.join('')}`;
}

/** Paths have no spaces to break at; where one is too long it is cut at a slash. */
function wrapLong(text: string, indent: string): string {
  const room = 80 - indent.length;
  const pieces = text.split(' ').flatMap((word) => (word.length <= room ? [word] : cutPath(word, room)));
  return wrap(pieces.join(' '), indent);
}

function cutPath(word: string, room: number): string[] {
  const pieces: string[] = [];
  let rest = word;
  while (rest.length > room) {
    const slash = rest.lastIndexOf('/', room - 1);
    const end = slash > 0 ? slash : room;
    pieces.push(rest.slice(0, end));
    rest = rest.slice(end);
  }
  return [...pieces, rest];
}

function places({ status, sealing, keyPlace, embeddedDatabase, nodeName }: StartReport): Field[] {
  const database = embeddedDatabase
    ? status.database.location
    : `"${status.database.name}" at ${status.database.location}`;
  return [
    ['Database', `${database} (${status.database.engine})`],
    ['Backups', status.repository ?? 'none are taken: ENCLAVE_MANAGER_REPOSITORY=none'],
    ['Key', `${keyPlace}, ${keyPlaces[sealing.provider]}`],
    ['This host', `${nodeName}, ${openers(status.openers?.length)}`],
  ];
}

const keyPlaces = {
  software: 'a file that stands for the hardware: for development only',
  tpm2: 'the TPM of this host, while it starts as it did',
  sgx: 'the processor of this host',
} as const;

function openers(count: number | undefined): string {
  if (count === undefined) return 'which hosts can open the backups is unknown';
  return count < 2 ? 'the only host that can open the backups' : `one of ${count} hosts that can open the backups`;
}

function proof({ status, drilled }: StartReport): Field[] {
  if (status.repository === null) return [];
  const compared =
    drilled === null ? '' : `; ${counted(drilled.rows, 'row')} of ${counted(drilled.tables, 'table')} compared`;
  return [
    ['Last backup', lastBackup(status)],
    ['Last drill', `${lastDrill(status)}${compared}`],
  ];
}

function nextRuns({ status }: StartReport): Field[] {
  if (status.repository === null) return [];
  const { backup, drill, verify } = status.schedules;
  return [
    ['Backup', nextRun(backup, status.unknown)],
    ['Drill', nextRun(drill, status.unknown)],
    ['Reading', nextRun(verify, status.unknown)],
  ];
}

function recovery({ status }: StartReport): Field[] {
  const { newestStartedAt, highestSequence, unknown } = status;
  const none = unknown === null ? 'no backup yet' : unknownBecause(unknown);
  const newest = newestStartedAt === null ? none : `sequence ${highestSequence} of ${formatTime(newestStartedAt)}`;
  return [
    ['Cluster', status.clusterId],
    ['Key', status.clusterKey],
    ['Newest', newest],
  ];
}

function production({ embeddedDatabase, sealing, status }: StartReport, style: Style): string {
  const advice: Field[] = [];
  if (embeddedDatabase) {
    advice.push(['ENCLAVE_MANAGER_DATABASE_URL', 'a database server that other hosts reach too']);
    if (sealing.provider === 'software') {
      advice.push(['ENCLAVE_MANAGER_SEALING', 'software, by name: needed with that']);
    }
  }
  if (status.findings.some(({ code }) => code === 'one-disk' || code === 'no-repository')) {
    advice.push(['ENCLAVE_MANAGER_REPOSITORY', 'another disk, better another machine']);
  }
  if (status.openers !== null && status.openers.length < 2) {
    const commands = embeddedDatabase
      ? 'then, by node invite here and node enrol there'
      : 'node invite on this one, node enrol on that one';
    advice.push(['A second host', commands]);
  }
  if (advice.length === 0) return '';
  const lines = advice.map(([name, value]) => `  ${name.padEnd(30)}${value}\n`);
  return `${style.bold('For production')}\n${lines.join('')}`;
}
