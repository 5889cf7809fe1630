import type { Measurement } from '../measure.ts';
import { type Row, verdict } from '../result.ts';
import { spread } from '../statistics.ts';
import { ourSteps, type StepName } from '../steps.ts';
import { profileOf } from './profile.ts';
import { whyMissed } from './reasons.ts';
import type { RunReport } from './run-report.ts';

const verdicts = { stretch: 'better than hoped', hit: 'reached', missed: '**missed**', '': '' };

export function markdown(report: RunReport): string {
  return [
    `# Performance

\`npm run bench\` writes this page. Every figure is of a whole process, from its start to its exit, with everything that a user gets:
encryption, hashes, the count by the server, the reading back, fsync. The steps of a round run one after another on the same
server, data and file system, the page cache warm, each round begins at another step, and a ratio compares two steps of the same
round. ${report.roundCount} rounds on ${report.at.slice(0, 10)}; ${gigabytes(report.logicalBytes)} GB of rows, as COPY text, became ${gigabytes(report.storedBytes)} GB of objects.

![Seconds of each step: ours, and the tools people use instead.](performance.svg)

## What was promised, and what was measured
`,
    promises(report.rows),
    whyMissed(report.rows),
    '\n## Every step\n\nMedians. CPU is that of the processes and of the database apart; memory is the most that was resident of the process itself.\n',
    steps(report),
    '\n## Where the time goes\n\nFor each GB of rows (backup, restore, drill: COPY text; verify: what the objects unpack to), medians of the rounds.\n',
    profile(report),
    `\n## The machine and the data\n\n${machine(report)}`,
    data,
  ].join('\n');
}

const data = `
The data lies in the manager's own tables, because these are what it backs up: audit events with JSON and two hashes, five million
at full size; API tokens, narrow, with random hashes; certificates of 4 kB of random bytes, 100 MB of them; builds, applications, users
and the small tables of every cluster. Rows are computed from their numbers, so every run has the same. PostgreSQL is the one
that comes with the product, as \`initdb\` makes it, but for the settings named above.
`;

function promises(rows: readonly Row[]): string {
  return table(
    ['work', 'median', 'smallest to largest', 'target', 'stretch', ''],
    rows.map((row) => [
      row.work,
      value(row.measured.median, row.unit),
      row.measured.minimum === row.measured.maximum
        ? ''
        : `${value(row.measured.minimum, row.unit)} to ${value(row.measured.maximum, row.unit)}`,
      row.target === undefined ? '' : `≤ ${value(row.target, row.unit)}`,
      row.stretch === undefined ? '' : `≤ ${value(row.stretch, row.unit)}`,
      verdicts[verdict(row)],
    ]),
  );
}

function steps({ rounds }: RunReport): string {
  const median = (of: readonly Measurement[], pick: (one: Measurement) => number): number =>
    spread(of.map(pick)).median;
  return table(
    ['step', 'seconds', 'CPU s', "database's CPU s", 'memory MB'],
    [...rounds]
      .filter(([, measured]) => measured.length > 0)
      .map(([name, measured]) => [
        title(name),
        seconds(median(measured, ({ wallMs }) => wallMs)),
        seconds(median(measured, ({ cpuMs }) => cpuMs)),
        seconds(median(measured, ({ databaseCpuMs }) => databaseCpuMs)),
        ourSteps.includes(name) ? String(Math.round(median(measured, ({ peakBytes }) => peakBytes / 1e6))) : '',
      ]),
  );
}

function profile(report: RunReport): string {
  const perGb = (ms: number): string => (ms / 1000 / (report.logicalBytes / 1e9)).toFixed(2);
  const rows = ourSteps.flatMap((step) =>
    profileOf(report.rounds.get(step) ?? []).map((phase) => [
      step,
      phase.name,
      perGb(phase.durationMs),
      perGb(phase.cpuMs),
      perGb(phase.databaseCpuMs),
      perGb(phase.storeCpuMs),
    ]),
  );
  return table(['step', 'phase', 'seconds', 'our CPU s', "database's CPU s", "store's CPU s"], rows);
}

function machine({ machine: facts, server, peers, missing }: RunReport): string {
  const lines = Object.entries({ ...facts, ...peers }).map(([name, text]) => `- ${name}: ${text}`);
  const settings = Object.entries(server).map(([name, text]) => `\`${name} = ${text === '' ? "''" : text}\``);
  const absent = missing.length === 0 ? 'nothing' : missing.join(', ');
  return `${[...lines, `- PostgreSQL: ${settings.join(', ')}`, `- missing: ${absent}`].join('\n')}\n`;
}

function title(name: StepName): string {
  return ourSteps.includes(name)
    ? `**${name}**`
    : name === 'drain'
      ? 'two connections copy, nobody reads'
      : `\`${name}\``;
}

function value(of: number, unit: Row['unit']): string {
  switch (unit) {
    case 'ratio':
      return `${of.toFixed(2)} ×`;
    case 'percent':
      return `${of.toFixed(2)} %`;
    case 'bytes':
      return `${Math.round(of).toLocaleString('en')} bytes`;
    case 'MB':
    case 'ms':
      return `${Math.round(of)} ${unit}`;
    case 's':
      return `${of.toFixed(2)} s`;
  }
}

const seconds = (ms: number): string => (ms / 1000).toFixed(2);
const gigabytes = (bytes: number): string => (bytes / 1e9).toFixed(2);

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  const rule = `|${head.map((_, column) => (column === 0 ? '---' : '--:')).join('|')}|`;
  return [line(head), rule, ...rows.map(line), ''].join('\n');
}
