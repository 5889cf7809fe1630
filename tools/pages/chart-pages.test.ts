import { expect, it } from 'vitest';
import { parse } from 'yaml';
import { projectRoot, readProjectFiles } from '../checks/project-files.ts';
import { chartPages, commentedValues } from './chart-pages.ts';

const text = `A:
  # -- What it does,
  # on two lines.
  B: ''
  # -- A list.
  C: []
  D:
    # -- A number.
    E: 1
# -- A whole group.
F:
  cpu: 1
`;

it('takes every value with its comment and its default', () => {
  expect(commentedValues(text, 'x.')).toEqual([
    { path: 'x.A.B', default: 'empty', help: 'What it does, on two lines.' },
    { path: 'x.A.C', default: '`[]`', help: 'A list.' },
    { path: 'x.A.D.E', default: '`1`', help: 'A number.' },
    { path: 'x.F', default: '`{"cpu":1}`', help: 'A whole group.' },
  ]);
});

it('refuses a value that nothing explains', () => {
  expect(() => commentedValues('A:\n  B: 1\n', '')).toThrow('A.B has no comment');
});

it('finds the published values in the chart', () => {
  const [page, defaults] = chartPages(readProjectFiles(projectRoot));
  for (const path of [
    'enclaveos-chart.Backup.CronSchedule',
    'enclaveos-chart.Manager.ReplicaCount',
    'global.S3.Endpoint',
  ])
    expect(page!.text).toContain(`| \`${path}\` |`);
  expect(JSON.parse(defaults!.text)).toMatchObject({ global: { S3: {} }, 'enclaveos-chart': { Backup: {} } });
});

it('is of the version of the program', () => {
  const files = readProjectFiles(projectRoot);
  const textOf = (path: string): string => files.find((file) => file.path === path)!.text;
  const { version } = JSON.parse(textOf('package.json')) as { version: string };
  for (const path of ['Chart.yaml', 'charts/enclaveos-chart/Chart.yaml'])
    expect(parse(textOf(`charts/enclave-manager/${path}`)), path).toMatchObject({ version, appVersion: version });
});
