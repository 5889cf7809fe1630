import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'vitest';
import { parseAllDocuments } from 'yaml';

const root = join(import.meta.dirname, '../..');
export const chart = join(root, 'charts/enclave-manager');
export const release = 'demo';

/** One file of values for each feature. */
export const valuesFiles: readonly string[] = readdirSync(join(chart, 'ci')).map((name) => join(chart, 'ci', name));

interface Outcome {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export function need(context: TestContext, ...programs: readonly string[]): void {
  for (const program of programs) {
    if (spawnSync(program, ['--help']).error !== undefined) context.skip(`install ${program}`);
  }
}

export function run(program: string, args: readonly string[], input = ''): Outcome {
  const { status, stdout, stderr, error } = spawnSync(program, args, { encoding: 'utf8', input, timeout: 60_000 });
  if (error !== undefined) throw error;
  return { exitCode: status, stdout, stderr };
}

/** Manifests, as far as tests look into them. */
export interface Manifest {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly annotations?: Readonly<Record<string, string>> };
  readonly data?: Readonly<Record<string, string>>;
  readonly spec?: PodSpec & { readonly template?: { readonly spec: PodSpec } };
}

export interface PodSpec {
  readonly containers: readonly Container[];
  readonly initContainers?: readonly Container[];
  readonly volumes?: readonly { readonly name: string }[];
  readonly automountServiceAccountToken?: boolean;
  readonly securityContext?: Readonly<Record<string, unknown>>;
}

export interface Container {
  readonly name: string;
  readonly env?: readonly { readonly name: string; readonly value?: string }[];
  readonly volumeMounts?: readonly { readonly name: string; readonly mountPath: string }[];
  readonly securityContext?: Readonly<Record<string, unknown>>;
  readonly resources?: { readonly requests?: unknown; readonly limits?: Readonly<Record<string, unknown>> };
}

const rendered = new Map<string, string>();

/** What helm prints; asked for again, the same. */
export function renderText(options: readonly string[], name = release): string {
  const key = JSON.stringify([name, options]);
  const text = rendered.get(key) ?? renderAnew(options, name);
  rendered.set(key, text);
  return text;
}

export function renderAnew(options: readonly string[], name = release): string {
  const { exitCode, stdout, stderr } = run('helm', ['template', name, chart, ...options]);
  if (exitCode !== 0) throw new Error(stderr);
  return stdout;
}

/** Every manifest of the chart with these options of helm, tests and hooks included. */
export const render = (options: readonly string[], name = release): Manifest[] => parse(renderText(options, name));

export function parse(text: string): Manifest[] {
  return parseAllDocuments(text).flatMap((document) =>
    document.contents === null ? [] : [document.toJS() as Manifest],
  );
}

/** What helm says where it refuses to render. */
export function refusal(options: readonly string[], name = release): string {
  const { exitCode, stderr } = run('helm', ['template', name, chart, ...options]);
  if (exitCode === 0) throw new Error(`helm rendered ${options.join(' ')}`);
  return stderr;
}

export function find(manifests: readonly Manifest[], kind: string, name: string): Manifest {
  const found = manifests.find((manifest) => manifest.kind === kind && manifest.metadata.name === name);
  if (found !== undefined) return found;
  const names = manifests.map((manifest) => `${manifest.kind} ${manifest.metadata.name}`);
  throw new Error(`there is no ${kind} ${name} among ${names.join(', ')}`);
}

/** The pods that manifests make, by the name of what makes them. */
export function podsOf(manifests: readonly Manifest[]): { readonly name: string; readonly pod: PodSpec }[] {
  return manifests.flatMap(({ kind, metadata, spec }) => {
    const pod = kind === 'Pod' ? spec : spec?.template?.spec;
    return pod === undefined ? [] : [{ name: metadata.name, pod }];
  });
}

export function podOf(manifests: readonly Manifest[], kind: string, name: string): PodSpec {
  const [found] = podsOf([find(manifests, kind, name)]);
  return found!.pod;
}

export const managerOf = (manifests: readonly Manifest[]): PodSpec =>
  podOf(manifests, 'Deployment', `${release}-enclaveos-manager`);

export const variablesOf = ({ env }: Container): Record<string, string> =>
  Object.fromEntries((env ?? []).map(({ name, value }) => [name, value ?? '']));

/** What the manager's settings are. */
export const settingsOf = (manifests: readonly Manifest[]): Record<string, string> =>
  variablesOf(managerOf(manifests).containers[0]!);
