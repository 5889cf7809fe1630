import { output, run } from './programs.ts';
import { projectRoot } from '../../tools/checks/project-files.ts';
import type { Release } from './release.ts';
import type { Story } from './story.ts';
import { until } from './waiting.ts';

const limitMs = 240_000;

export interface JobOptions {
  readonly host?: string;
  readonly tokenSecret?: string;
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
  { host, tokenSecret }: JobOptions = {},
): Promise<string> {
  const settings = [
    ...(host === undefined ? [] : [`enclaveos-chart.Job.Host=${host}`]),
    ...(tokenSecret === undefined ? [] : [`enclaveos-chart.Job.TokenSecretName=${tokenSecret}`]),
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

/** Runs it to its end; resolves with what it printed, and throws with that if it failed. */
export async function runJob(
  story: Story,
  release: Release,
  words: readonly string[],
  options: JobOptions = {},
): Promise<string> {
  const job = await startJob(story, release, words, options);
  const succeeded = await until(`the end of job ${job}`, limitMs, async () => {
    const json = await release.kubectl(['get', 'job', job, '-o', 'json']);
    const { status } = JSON.parse(json) as { readonly status: JobStatus };
    if ((status.succeeded ?? 0) > 0) return true;
    return (status.failed ?? 0) > 0 ? false : undefined;
  });
  const { stdout } = await run('kubectl', ['-n', release.namespace, 'logs', `job/${job}`, '--tail=-1']);
  await release.kubectl(['delete', 'job', job, '--timeout=60s']);
  if (!succeeded) throw new Error(`${words.join(' ')} as a job failed: ${stdout.slice(-2000)}`);
  return stdout;
}
