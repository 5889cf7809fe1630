import { setTimeout as sleep } from 'node:timers/promises';
import { output, run } from './programs.ts';
import { projectRoot } from '../../tools/checks/project-files.ts';
import type { Release } from './release.ts';
import type { Story } from './story.ts';
import { until } from './waiting.ts';

const limitMs = 240_000;
const mostAttempts = 10;
const leasePauseMs = 10_000;

export interface JobOptions {
  readonly host?: string;
}

interface JobStatus {
  readonly succeeded?: number;
  readonly failed?: number;
}

/** Starts a job of the release by the documented command; resolves with its name. */
export async function startJob(
  story: Story,
  { name, namespace }: Release,
  words: readonly string[],
  { host }: JobOptions = {},
): Promise<string> {
  const settings = [
    ...(host === undefined ? [] : [`enclaveos-chart.Job.Host=${host}`]),
    `enclaveos-chart.Job.Arguments={${words.join(',')}}`,
  ];
  const template =
    `helm template -n ${namespace} ${name} charts/enclave-manager -f - ` +
    `-s charts/enclaveos-chart/templates/job.yaml ${settings.map((setting) => `--set '${setting}'`).join(' ')}`;
  const line = `helm -n ${namespace} get values ${name} -o yaml | ${template} | kubectl -n ${namespace} create -f -`;
  story.say(`$ ${line}`);
  await output('bash', ['-o', 'pipefail', '-c', line], { cwd: projectRoot });
  return `${name}-enclaveos-${words.slice(0, 2).join('-')}`;
}

export interface JobEnd {
  readonly succeeded: boolean;
  readonly printed: string;
}

/** Waits for the end of a job, and removes it. */
export async function endOfJob(release: Release, job: string): Promise<JobEnd> {
  const succeeded = await until(`the end of job ${job}`, limitMs, () => successOf(release, job));
  const { stdout: printed } = await run('kubectl', ['-n', release.namespace, 'logs', `job/${job}`, '--tail=-1']);
  await release.kubectl(['delete', 'job', job, '--timeout=60s']);
  return { succeeded, printed };
}

export const hasEnded = async (release: Release, job: string): Promise<boolean> =>
  (await successOf(release, job)) !== undefined;

/** `undefined` while it runs. */
async function successOf(release: Release, job: string): Promise<boolean | undefined> {
  const { status } = JSON.parse(await release.kubectl(['get', 'job', job, '-o', 'json'])) as { status: JobStatus };
  if ((status.succeeded ?? 0) > 0) return true;
  return (status.failed ?? 0) > 0 ? false : undefined;
}

/**
 * The one document that a command prints with `--json`, which is added, run as a job; throws if it failed. A backup may be
 * under way, as one begins each minute: then it is started again.
 */
export async function askByJob<T>(
  story: Story,
  release: Release,
  words: readonly string[],
  options: JobOptions = {},
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    const { succeeded, printed } = await endOfJob(release, await startJob(story, release, forJson(words), options));
    if (succeeded) return answerIn(printed) as T;
    if (attempt === mostAttempts || !printed.includes('"lease-held"'))
      throw new Error(`${words.join(' ')} as a job failed: ${printed.slice(-2000)}`);
    story.say('Another operation is under way');
    await sleep(leasePauseMs);
  }
}

/** For scripts: one document and no notes. */
export const forJson = (words: readonly string[]): string[] => [...words, '--json', '--quiet'];

/** A pod's log has what was printed to either stream. */
export function answerIn(printed: string): unknown {
  const [document] = /^[{[][^]*[}\]]$/m.exec(printed.trim()) ?? [];
  if (document === undefined) throw new Error(`no JSON in what the job printed: ${printed.slice(-2000)}`);
  return JSON.parse(document);
}
