import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import type { NodeState } from '#ports/local-state.ts';
import { openLocalState } from './local-state.ts';

const state: NodeState = {
  clusterId: '0190a3a0-0000-7000-8000-000000000001',
  nodeId: '0190a3a0-0000-7000-8000-000000000002',
  credentialId: '0190a3a0-0000-7000-8000-000000000003',
  sealingProvider: 'software',
  clusterKey: 'sha256:abc',
  highestSequence: 7,
};

function freshDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'enclave-manager-state-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

it('is undefined before the first write, and then what was written last', async () => {
  const directory = freshDirectory();
  const local = openLocalState(directory);
  expect(await local.read()).toBeUndefined();
  await local.write(state);
  await local.write({ ...state, highestSequence: 8 });
  expect(await openLocalState(directory).read()).toEqual({ ...state, highestSequence: 8 });
  expect(readdirSync(join(directory, 'state'))).toEqual(['node.json']);
  expect(statSync(join(directory, 'state/node.json')).mode & 0o777).toBe(0o600);
});

it.each([
  '',
  '{',
  '[]',
  '{"clusterId": "x"}',
  JSON.stringify({ ...state, highestSequence: -1 }),
  JSON.stringify({ ...state, extra: 1 }),
])('is damaged when it reads %j', async (text) => {
  const directory = freshDirectory();
  await openLocalState(directory).write(state);
  writeFileSync(join(directory, 'state/node.json'), text);
  await expect(openLocalState(directory).read()).rejects.toMatchObject({
    code: 'damaged',
    message: expect.stringContaining('node.json') as string,
  });
});

it('never writes what it would not read', async () => {
  const local = openLocalState(freshDirectory());
  await expect(local.write({ ...state, highestSequence: 1.5 })).rejects.toThrow('highestSequence');
  expect(await local.read()).toBeUndefined();
});

it('names the place that cannot be written', async () => {
  const directory = freshDirectory();
  writeFileSync(join(directory, 'state'), '');
  await expect(openLocalState(directory).write(state)).rejects.toMatchObject({
    code: 'configuration',
    message: expect.stringContaining(directory) as string,
  });
});
