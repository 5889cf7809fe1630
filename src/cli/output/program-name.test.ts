import { describe, expect, it } from 'vitest';
import { programName, spellCommands, spellingOf } from './program-name.ts';

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
  expect(spellCommands(text, { program: './bin/$&', here: 'x' })).toBe(
    'Run ./bin/$& restore run latest.\nenclave-manager.json, /srv/enclave-manager status: enclave-managers',
  );
});

describe('spellingOf', () => {
  const env = {
    ENCLAVE_MANAGER_COMMAND: 'kubectl exec deploy/managers -- enclave-manager',
    ENCLAVE_MANAGER_COMMAND_HERE: 'kubectl exec -i pod-7 -- enclave-manager',
  };

  it('sends what concerns one host there, and everything else to any', () => {
    const spelling = spellingOf(env, () => './em');
    const text = 'enclave-manager node invite, then enclave-manager node enrol --token-file -';
    expect(spellCommands(text, spelling)).toBe(
      'kubectl exec deploy/managers -- enclave-manager node invite, then ' +
        'kubectl exec -i pod-7 -- enclave-manager node enrol --token-file -',
    );
  });

  it('has a command of its own to enrol this host, where it is set', () => {
    const job = "kubectl create -f 'enclave-manager node'";
    const spelling = spellingOf({ ...env, ENCLAVE_MANAGER_COMMAND_ENROL: job }, () => './em');
    const text = 'enclave-manager status: enclave-manager node enrol --token-file -, or enclave-manager node enrol';
    expect(spellCommands(text, spelling)).toBe(
      `kubectl exec deploy/managers -- enclave-manager status: ${job}, or kubectl exec -i pod-7 -- enclave-manager node enrol`,
    );
  });

  it('is how the process was started where nothing is set', () => {
    expect(spellingOf({}, () => './em')).toEqual({ program: './em', here: './em', enrol: undefined });
    expect(spellingOf({ ENCLAVE_MANAGER_COMMAND: '' }, () => './em').program).toBe('./em');
  });
});
