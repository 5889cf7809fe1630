import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { beforeEach, describe, expect, it, onTestFinished, type TestContext } from 'vitest';
import { chart, need, parse, podsOf, renderAnew, renderText, run, valuesFiles } from './helm.ts';

/** JSON Schemas of every kind, as kubeconform reads them: `deployment-apps-v1.json`. */
const schemas = process.env['KUBERNETES_SCHEMAS'];

function needSchemas(context: TestContext): string {
  need(context, 'kubeconform');
  if (schemas === undefined) context.skip('set KUBERNETES_SCHEMAS to a directory of JSON schemas of Kubernetes');
  return schemas;
}

beforeEach((context) => need(context, 'helm'));

const names = valuesFiles.map((path) => [basename(path), path] as const);

/** With a job besides, which only helm template makes. */
const job = ['--set', 'enclaveos-chart.Job.Arguments={restore,plan,latest}', '--set', 'enclaveos-chart.Job.Host=a'];
const textOf = (path: string): string => renderText(['--values', path, ...job]);

describe('every file of ci/', () => {
  it.each(names)('%s passes the strict linter', (_, path) => {
    expect(run('helm', ['lint', '--strict', chart, '--values', path])).toMatchObject({ exitCode: 0 });
  });

  it.for(names)('%s makes what Kubernetes knows', ([, path], context) => {
    const location = `${needSchemas(context)}/{{ .ResourceKind }}{{ .KindSuffix }}.json`;
    const options = ['-strict', '-summary', '-output=json', '-schema-location', location];
    const { exitCode, stdout } = run('kubeconform', options, textOf(path));
    const { summary } = JSON.parse(stdout) as { summary: Record<string, number> };
    expect([exitCode, summary], stdout).toMatchObject([0, { invalid: 0, errors: 0, skipped: 0 }]);
    expect(summary['valid']).toBe(parse(textOf(path)).length);
  });

  it.each(names)(
    '%s gives every container a limit, and mounts only what its pod has, each in its own place',
    (_, path) => {
      for (const { name, pod } of podsOf(parse(textOf(path)))) {
        const volumes = [...(pod.volumes ?? []).map((volume) => volume.name), 'datadir'];
        for (const container of [...pod.containers, ...(pod.initContainers ?? [])]) {
          const mounts = container.volumeMounts ?? [];
          expect(container.resources?.limits?.['memory'], `${name}/${container.name}`).toBeDefined();
          expect(volumes, `${name}/${container.name}`).toEqual(
            expect.arrayContaining(mounts.map((mount) => mount.name)),
          );
          expect(new Set(mounts.map(({ mountPath }) => mountPath)).size, `${name}/${container.name}`).toBe(
            mounts.length,
          );
        }
      }
    },
  );
});

it('renders the same again, but for generated certificates', () => {
  const withoutSecrets = (text: string) => parse(text).filter(({ kind }) => kind !== 'Secret');
  const [, path] = names[0]!;
  const once = withoutSecrets(renderAnew(['--values', path]));
  expect(once.length).toBeGreaterThan(5);
  expect(withoutSecrets(renderAnew(['--values', path]))).toEqual(once);
});

it('finds what is wrong by the strict linter', () => {
  const directory = mkdtempSync(join(tmpdir(), 'enclave-manager-chart-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const wrong = join(directory, 'values.yaml');
  writeFileSync(wrong, 'enclaveos-chart: { Manager: { Replicas: 2 } }\n');
  const { exitCode, stdout, stderr } = run('helm', ['lint', '--strict', chart, '--values', wrong]);
  expect([exitCode, stdout + stderr]).toEqual([1, expect.stringContaining("'Replicas'")]);
});
