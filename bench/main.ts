/** Measures the product against what people use instead; see docs/performance.md. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { prepareBench } from './bench.ts';
import { measureCatalog } from './catalog.ts';
import { help, type Options, readOptions } from './options.ts';
import { type Row, verdict } from './result.ts';
import { runRounds } from './rounds.ts';
import { makeBaselines, stepsOf } from './steps.ts';

async function main(options: Options): Promise<void> {
  const directory = makeDirectory(options);
  try {
    await runIn(directory, options);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

async function runIn(directory: string, { scale, rounds, small, only }: Options): Promise<void> {
  const bench = await prepareBench(directory, { scale, say });
  try {
    say('making the backups that the rounds restore');
    await makeBaselines(bench);
    const steps = stepsOf(bench).filter(({ name }) => only.length === 0 || only.includes(name));
    await runRounds(bench, steps, rounds);
    for (const row of await measureCatalog(join(directory, 'catalog'), { small })) say(lineOf(row));
  } finally {
    await bench.server.stop();
  }
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
