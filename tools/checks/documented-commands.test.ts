import { describe, expect, it } from 'vitest';
import { unknownCommands } from './documented-commands.ts';

const defaults = { global: { S3: { Bucket: '' } }, 'enclaveos-chart': { Manager: { NodeSelector: {}, Names: [] } } };
const files = (text: string, path = 'docs/runbooks/a.md') => [
  { path: 'charts/enclave-manager/files/defaults.json', text: JSON.stringify(defaults) },
  { path, text },
];
const found = (text: string, path?: string): string[] => unknownCommands(files(text, path)).map(({ what }) => what);

describe('what pages tell to type', () => {
  it('is known to the program', () => {
    expect(found('`kubectl exec -it deploy/x -- enclave-manager restore run latest --yes`')).toEqual([]);
    expect(found('`enclave-manager …`, `enclave-manager`, `charts/enclave-manager`')).toEqual([]);
  });

  it('is reported with its place where command, option or argument are not', () => {
    expect(
      unknownCommands(files('one\n\n```sh\nnpx enclave-manager node evict --fast\n```\n', 'README.md')),
    ).toMatchObject([{ where: 'README.md:4', what: expect.stringContaining('enclave-manager node evict --fast: ') }]);
    expect(found('`enclave-manager backup restore`')).toHaveLength(1);
    expect(found('`enclave-manager node list host-a`')).toHaveLength(1);
  });

  it('names commands of jobs that there are', () => {
    expect(found(`\`--set 'enclaveos-chart.Job.Arguments={restore,plan,latest}'\``)).toEqual([
      'the chart has no value enclaveos-chart.Job.Arguments',
    ]);
    expect(found('`{restore,run,latest,--force}`')).toEqual([expect.stringContaining('--force')]);
  });

  it('sets values that the chart has', () => {
    expect(found('`helm install <release> x --set global.S3.Bucket=<bucket>`')).toEqual([]);
    expect(
      found(`\`--set 'enclaveos-chart.Manager.NodeSelector.a\\.b/c=d' --set enclaveos-chart.Manager.Names[0]=x\``),
    ).toEqual([]);
    expect(found('`--set global.S3.Buckets=x --set-string global.S3=x`')).toEqual([
      'the chart has no value global.S3.Buckets',
      'the chart has no value global.S3',
    ]);
  });

  it('uses the names that the chart gives', () => {
    expect(found('`<release>-enclaveos-cockroachdb-0:/cockroach deploy/<release>-enclaveos-manager`')).toEqual([]);
    expect(found('`job/<release>-enclaveos-backup-export`')).toEqual([]);
    expect(found('`job/<release>-enclaveos-backup-exports`')).toEqual([
      'nothing is called release-enclaveos-backup-exports',
    ]);
  });
});
