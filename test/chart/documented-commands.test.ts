import { beforeEach, expect, it } from 'vitest';
import { projectRoot, readProjectFiles } from '../../tools/checks/project-files.ts';
import { shownCommands } from '../../tools/checks/shell-commands.ts';
import { need, renderText, valuesFiles } from './helm.ts';

beforeEach((context) => need(context, 'helm'));

const pages = readProjectFiles(projectRoot).filter(({ path }) =>
  /^docs\/(runbooks\/.*|backup-restore)\.md$/.test(path),
);

/** What a reader fills in; every other placeholder stands for itself. */
const filledIn = (word: string): string => word.replace('.Sealing=sealing', '.Sealing=tpm2');

const ofHelm = pages
  .flatMap(shownCommands)
  .filter(({ words }) => words[0] === 'helm' && words.includes('charts/enclave-manager') && !words.includes('…'))
  .map(({ where, words }) => ({ where, words: words.map(filledIn) }));

it('pages tell to install, to upgrade and to make jobs', () => {
  expect(pages.length).toBeGreaterThan(8);
  expect(ofHelm.filter(({ words }) => words[1] === 'template').length).toBeGreaterThan(5);
  expect(ofHelm.filter(({ words }) => words[1] !== 'template').length).toBeGreaterThan(8);
});

it.each(ofHelm)('$where renders', ({ words: [, verb, name, chart, ...options] }) => {
  expect([name, chart]).toEqual(['release', 'charts/enclave-manager']);
  const backup = valuesFiles.find((path) => path.endsWith('/backup-values.yaml'))!;
  const given = options.map((word) => (word === '-' ? backup : word));
  expect(renderText(given, name)).toContain(verb === 'template' ? 'kind: Job' : 'kind: StatefulSet');
});
