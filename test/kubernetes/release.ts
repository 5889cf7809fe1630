import { join } from 'node:path';
import { projectRoot } from '../../tools/checks/project-files.ts';
import { output, run, type Ending, type RunOptions } from './programs.ts';
import type { Story } from './story.ts';
import { until } from './waiting.ts';

export type Values = Readonly<Record<string, string>>;

/** For an installation or upgrade that leaves the database alone. */
export const noManagers: Values = { 'enclaveos-chart.Manager.ReplicaCount': '0' };

const chart = join(projectRoot, 'charts/enclave-manager');
const startLimitMs = 240_000;

interface Pod {
  readonly metadata: { readonly name: string; readonly uid: string; readonly deletionTimestamp?: string };
  readonly spec: { readonly nodeName: string };
  readonly status: {
    readonly conditions?: readonly { readonly type: string; readonly status: string }[];
    readonly containerStatuses?: readonly { readonly restartCount: number }[];
  };
}

/** One installation of the chart, worked on by the commands that an operator types. */
export class Release {
  readonly name: string;
  readonly namespace: string;
  readonly #story: Story;
  /** The options are told once: after that `…` stands for all of them. */
  #told = false;
  /** Those of the last installation or upgrade that is to stay: each upgrade names them all again. */
  values: Values;

  constructor(story: Story, namespace: string, name: string, values: Values) {
    this.#story = story;
    this.namespace = namespace;
    this.name = name;
    this.values = values;
  }

  get database(): string {
    return `${this.name}-enclaveos-cockroachdb`;
  }

  get managers(): string {
    return `${this.name}-enclaveos-manager`;
  }

  async install(more: Values = {}): Promise<void> {
    await this.#helm('install', more);
  }

  /** Repeats the options of the release; `more` is for this once. */
  async upgrade(more: Values = {}): Promise<void> {
    await this.#helm('upgrade', more);
  }

  async #helm(verb: 'install' | 'upgrade', more: Values): Promise<void> {
    const sets = settings({ ...this.values, ...more });
    const shown = this.#told ? ['…', ...settings(more)] : sets;
    this.#told = true;
    this.#story.command(['helm', verb, this.name, 'charts/enclave-manager', ...shown]);
    await output('helm', ['-n', this.namespace, verb, this.name, chart, ...sets]);
  }

  async helm(...parameters: readonly string[]): Promise<string> {
    this.#story.command(['helm', ...parameters]);
    return await output('helm', ['-n', this.namespace, ...parameters], { timeoutMs: 300_000 });
  }

  async kubectl(parameters: readonly string[], options: RunOptions = {}): Promise<string> {
    return await output('kubectl', ['-n', this.namespace, ...parameters], options);
  }

  /** The same, told in the story: for what operators type. */
  async type(parameters: readonly string[], options: RunOptions = {}): Promise<string> {
    this.#story.command(['kubectl', ...parameters]);
    return await this.kubectl(parameters, options);
  }

  /** A command of the manager, run beside one that serves; whatever its exit code. */
  async tryCommand(...words: readonly string[]): Promise<Ending> {
    const here = ['-n', this.namespace, 'exec', `deploy/${this.managers}`, '-c', 'manager', '--'];
    return await run('kubectl', [...here, 'enclave-manager', ...words]);
  }

  /** What a command of the manager answers with `--json`; `status` also answers where it is not healthy. */
  async ask<T>(...words: readonly string[]): Promise<T> {
    const { stdout, stderr, status } = await this.tryCommand(...words, '--json');
    if (stdout.trim() === '')
      throw new Error(`enclave-manager ${words.join(' ')} ended with ${status}: ${stderr.slice(-1000)}`);
    const answer = JSON.parse(stdout) as T | { readonly error: { readonly message: string } };
    if (typeof answer === 'object' && answer !== null && 'error' in answer) throw new Error(answer.error.message);
    return answer;
  }

  /** Rows of a query in the database pod, as lines of comma-separated values without their header. */
  async sql(statement: string, options: { readonly database?: string } = {}): Promise<string[]> {
    const shell = './cockroach sql "$SECURITY" -d "$1" --format=csv -e "$2"';
    const parameters = ['bash', '-c', shell, 'sql', options.database ?? 'malbork', statement];
    const text = await this.kubectl(['exec', `${this.database}-0`, '-c', 'cockroachdb', '--', ...parameters]);
    return text.trim().split('\n').slice(1);
  }

  /** Of the pods of a component, for `-l`. */
  selector(component: 'manager' | 'cockroachdb'): string {
    return `app.kubernetes.io/instance=${this.name},app.kubernetes.io/name=enclaveos-${component}`;
  }

  async pods(component: 'manager' | 'cockroachdb'): Promise<Pod[]> {
    const selector = this.selector(component);
    const { items } = JSON.parse(await this.kubectl(['get', 'pods', '-l', selector, '-o', 'json'])) as { items: Pod[] };
    return items;
  }

  /** Changes with every pod that is replaced, and every container that starts anew in one. */
  async containers(component: 'manager' | 'cockroachdb'): Promise<string[]> {
    const restarts = ({ status }: Pod): number[] => (status.containerStatuses ?? []).map((each) => each.restartCount);
    return (await this.pods(component)).map((pod) => `${pod.metadata.uid}, restarts: ${restarts(pod).join()}`);
  }

  /** So many pods, every one of them ready, and none that is on its way out. */
  async untilReady(component: 'manager' | 'cockroachdb', count = 1): Promise<void> {
    const what = `${count} ready ${component} of ${this.name}`;
    // Pods of before may be ready while their successors are not made yet.
    const kind = component === 'manager' ? `deploy/${this.managers}` : `statefulset/${this.database}`;
    const limit = `--timeout=${startLimitMs / 1000}s`;
    await run('kubectl', ['-n', this.namespace, 'rollout', 'status', kind, limit], {
      timeoutMs: startLimitMs + 10_000,
    });
    const ask = async (): Promise<true | undefined> => {
      const pods = await this.pods(component);
      return pods.length === count && pods.every(isReady) ? true : undefined;
    };
    await until(what, startLimitMs, ask, () => this.describe(component));
  }

  /** What an operator would look at. */
  async describe(component: 'manager' | 'cockroachdb'): Promise<string> {
    const selector = this.selector(component);
    const { stdout: pods } = await run('kubectl', ['-n', this.namespace, 'describe', 'pods', '-l', selector]);
    const every = ['--all-containers', '--prefix', '--tail=30', '--ignore-errors'];
    const { stdout: logs } = await run('kubectl', ['-n', this.namespace, 'logs', '-l', selector, ...every]);
    return `${pods.slice(pods.lastIndexOf('Conditions:'))}\n${logs}`;
  }
}

/** A tag such as `15` would be taken for a number. */
const settings = (values: Values): string[] =>
  Object.entries(values).flatMap(([name, value]) => [
    name.endsWith('.Tag') ? '--set-string' : '--set',
    `${name}=${value.replaceAll(',', '\\,')}`,
  ]);

export const isReady = ({ metadata, status }: Pod): boolean =>
  metadata.deletionTimestamp === undefined &&
  (status.conditions ?? []).some(({ type, status: value }) => type === 'Ready' && value === 'True');
