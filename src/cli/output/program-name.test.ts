import { describe, expect, it } from 'vitest';
import { programName, spellCommands } from './program-name.ts';

describe('programName', () => {
  const checkout = { root: '/srv/em', script: '/srv/em/src/main.ts', workingDirectory: '/srv/em', startedBy: 'start' };

  it.each([
    ['the launcher beside', checkout, './bin/enclave-manager.mjs'],
    ['the launcher elsewhere', { ...checkout, workingDirectory: '/srv/elsewhere' }, '/srv/em/bin/enclave-manager.mjs'],
    [
      'a path that a shell would take apart',
      { ...checkout, root: "/it's 1", workingDirectory: '/' },
      String.raw`'./it'\''s 1/bin/enclave-manager.mjs'`,
    ],
    ['what npx ran', { ...checkout, startedBy: 'npx' }, 'npx enclave-manager'],
    [
      'what is on the PATH',
      { ...checkout, script: '/usr/local/bin/enclave-manager', startedBy: undefined },
      'enclave-manager',
    ],
  ])('names %s', (_, start, expected) => {
    expect(programName(start)).toBe(expected);
  });
});

it('spells the commands in a text, and leaves everything else', () => {
  const text =
    'Run enclave-manager restore run latest.\nenclave-manager.json, /srv/enclave-manager status: enclave-managers';
  expect(spellCommands(text, './bin/$&')).toBe(
    'Run ./bin/$& restore run latest.\nenclave-manager.json, /srv/enclave-manager status: enclave-managers',
  );
});
