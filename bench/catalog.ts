import { join } from 'node:path';
import { makeCatalogDataset } from './catalog-dataset.ts';
import { type Job, measure, type Measurement } from './measure.ts';
import type { Row } from './result.ts';
import { spread } from './statistics.ts';

const program = join(import.meta.dirname, '../bin/enclave-manager.mjs');
const rounds = 5;

/** What a repository of very many backups costs those who look at it, and what every command costs before it does anything. */
export async function measureCatalog(directory: string, { small }: { readonly small: boolean }): Promise<Row[]> {
  const backups = small ? 300 : 10_000;
  const { dataDirectory } = await makeCatalogDataset(directory, { backups });
  const run = async (...words: string[]): Promise<Measurement> =>
    await measure(jobOf(dataDirectory, words), { postmaster: process.pid });
  const first = await run('backup', 'list', '--json');
  const lists = await repeated(() => run('backup', 'list', '--json'));
  const plans = await repeated(() => run('restore', 'plan', 'latest', '--json'));
  const prunes = await repeated(() => run('backup', 'prune', '--dry-run', '--keep-daily', '30', '--json'));
  const helps = await repeated(() => run('--help'));
  const of = `${backups.toLocaleString('en')} backups of 200 objects`;
  const everything = [first, ...lists, ...plans, ...prunes];
  return [
    { work: `list of ${of}`, measured: seconds(lists), unit: 's', target: 1 },
    { work: `the same, by a host that remembers nothing`, measured: seconds([first]), unit: 's' },
    { work: `restore plan among ${of}`, measured: seconds(plans), unit: 's', target: 2 },
    { work: `prune, dry run, of ${of}`, measured: seconds(prunes), unit: 's', target: 10 },
    { work: `memory of our process, over these`, measured: peak(everything), unit: 'MB' },
    { work: '`--help`', measured: spread(helps.map(({ wallMs }) => wallMs)), unit: 'ms', target: 150 },
  ];
}

/** After one that is not counted, with which caches fill. */
async function repeated(run: () => Promise<Measurement>): Promise<Measurement[]> {
  await run();
  const measurements: Measurement[] = [];
  for (let round = 0; round < rounds; round += 1) measurements.push(await run());
  return measurements;
}

const seconds = (measurements: readonly Measurement[]) => spread(measurements.map(({ wallMs }) => wallMs / 1000));
/** The largest process of each: the launcher's is small. */
const peak = (measurements: readonly Measurement[]) =>
  spread([Math.max(...measurements.map(({ peakBytes }) => peakBytes / 1e6))]);

function jobOf(dataDirectory: string, words: readonly string[]): Job {
  const env = { PATH: process.env['PATH'] ?? '', HOME: process.env['HOME'] ?? '' };
  return {
    program: process.execPath,
    parameters: [program, ...words, '--quiet'],
    env: { ...env, ENCLAVE_MANAGER_DATA_DIR: dataDirectory, ENCLAVE_MANAGER_NODE_NAME: 'bench' },
  };
}
