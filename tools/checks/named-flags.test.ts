import { expect, it } from 'vitest';
import { unknownFlags } from './named-flags.ts';

it('reports a flag that no command has, where people are told to type it', () => {
  const text = "hint: 'Add --yes, or --database-url.'\n// --keep-… and --token-file FILE; a -- b --> c\n";
  expect(unknownFlags([{ path: 'src/cli/commands/node-enrol.ts', text }])).toEqual([
    { where: 'src/cli/commands/node-enrol.ts:1', what: 'the program has no flag --database-url' },
  ]);
  expect(unknownFlags([{ path: 'src/adapters/embedded-postgresql/initdb.ts', text }])).toEqual([]);
  expect(unknownFlags([{ path: 'src/cli/program.test.ts', text }])).toEqual([]);
});
