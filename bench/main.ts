/** Measures the product against what people use instead; see docs/performance.md. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { type Bench, endBench, prepareBench } from './bench.ts';
import { measureCatalog } from './catalog.ts';
import { measureChanges, readCreated } from './changes.ts';
import { measureMemory } from './memory.ts';
import { help, type Options, readOptions } from './options.ts';
import { describeMachine } from './report/machine.ts';
import { markdown } from './report/markdown.ts';
import { picture } from './report/picture.ts';
import type { RunReport } from './report/run-report.ts';
import { type Row, verdict } from './result.ts';
import { runRounds } from './rounds.ts';
import { makeBaselines, stepsOf } from './steps.ts';
import { changeRows, roundRows } from './targets.ts';

const docs = join(import.meta.dirname, '../docs');
const formatter = join(import.meta.dirname, '../node_modules/oxfmt/bin/oxfmt');

async function main(options: Options): Promise<void> {
  const directory = makeDirectory(options);
  try {
    await runIn(directory, options);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

async function runIn(directory: string, options: Options): Promise<void> {
  const { scale, small, only, memory } = options;
  const at = new Date().toISOString();
  const whole = only.length === 0;
  const bench = await prepareBench(join(directory, 'rounds'), {
    scale,
    storageRounds: small ? 0 : options.rounds,
    say,
  });
  try {
    const report = await measureRounds(bench, options, at);
    await endBench(bench);
    const catalog = whole ? await measureCatalog(join(directory, 'catalog'), { small }) : [];
    const sizes = memory ? await measureMemory(directory, say) : [];
    finish({ ...report, rows: [...report.rows, ...catalog, ...sizes] }, { write: whole && !small });
  } finally {
    await endBench(bench);
  }
}

async function measureRounds(bench: Bench, { rounds: roundCount, only }: Options, at: string): Promise<RunReport> {
  say('making the backups that the rounds restore');
  const created = readCreated((await makeBaselines(bench, { peers: true })).stdout);
  const steps = stepsOf(bench).filter(({ name }) => only.length === 0 || only.includes(name));
  const rounds = await runRounds(bench, steps, roundCount);
  const changes = only.length === 0 ? await measureChanges(bench) : [];
  return {
    at,
    machine: describeMachine(bench.directory),
    server: bench.server.settings,
    peers: versionsOf(bench),
    missing: bench.missing,
    logicalBytes: created.logicalBytes,
    storedBytes: created.totalBytes,
    dataRows: created.rows,
    roundCount,
    rounds,
    rows: [...roundRows(rounds), ...changeRows(changes)],
  };
}

function versionsOf({ peer, storage }: Bench): Record<string, string> {
  const version = peer.programs['pg_dump version'];
  return {
    ...(version === undefined ? {} : { pg_dump: version }),
    ...(storage === undefined ? {} : { 'S3 server': `${storage.name}, on this machine, in memory` }),
  };
}

function finish(report: RunReport, { write }: { readonly write: boolean }): void {
  for (const row of report.rows) say(lineOf(row));
  if (!write) return;
  writeFileSync(join(docs, 'performance.md'), markdown(report));
  writeFileSync(join(docs, 'performance.svg'), picture(report));
  execFileSync(process.execPath, [formatter, join(docs, 'performance.md')]);
  say('wrote docs/performance.md and docs/performance.svg');
}

const lineOf = (row: Row): string => `${row.work}: ${row.measured.median} ${row.unit} ${verdict(row)}`.trimEnd();

/** A directory of its own in the one that was named, so that what else lies there stays. */
function makeDirectory({ directory }: Options): string {
  const parent = resolve(directory ?? tmpdir());
  mkdirSync(parent, { recursive: true });
  return mkdtempSync(join(parent, 'enclave-manager-bench-'));
}

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

try {
  const options = readOptions(process.argv.slice(2));
  if (options.help) process.stdout.write(help);
  else await main(options);
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
