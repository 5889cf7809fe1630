import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished, vi } from 'vitest';
import type { NodeState } from '#ports/local-state.ts';
import { openLocalState } from './local-state.ts';

vi.setConfig({ testTimeout: 120_000 });

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

it('is undefined before the first update, and then what the last one made of it', async () => {
  const directory = freshDirectory();
  const local = openLocalState(directory);
  expect(await local.read()).toBeUndefined();
  expect(await local.update(() => state)).toEqual(state);
  await local.update((before) => ({ ...before!, highestSequence: before!.highestSequence + 1 }));
  expect(await openLocalState(directory).read()).toEqual({ ...state, highestSequence: 8 });
  expect(readdirSync(join(directory, 'state'))).toEqual(['node.json', 'node.lock']);
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
  await openLocalState(directory).update(() => state);
  writeFileSync(join(directory, 'state/node.json'), text);
  const damaged = { code: 'damaged', message: expect.stringContaining('node.json') as string };
  await expect(openLocalState(directory).read()).rejects.toMatchObject(damaged);
  await expect(openLocalState(directory).update(() => state)).rejects.toMatchObject(damaged);
  expect(readFileSync(join(directory, 'state/node.json'), 'utf8')).toBe(text);
});

it('never writes what it would not read', async () => {
  const local = openLocalState(freshDirectory());
  await expect(local.update(() => ({ ...state, highestSequence: 1.5 }))).rejects.toThrow('highestSequence');
  expect(await local.read()).toBeUndefined();
});

it('names the place that cannot be written', async () => {
  const directory = freshDirectory();
  writeFileSync(join(directory, 'state'), '');
  await expect(openLocalState(directory).update(() => state)).rejects.toMatchObject({
    code: 'configuration',
    message: expect.stringContaining(directory) as string,
  });
});

it('writes nothing where nothing changes, or the change is refused', async () => {
  const directory = freshDirectory();
  const local = openLocalState(directory);
  expect(await local.update((before) => before)).toBeUndefined();
  expect(readdirSync(directory)).toEqual([]);
  await local.update(() => state);
  const written = statSync(join(directory, 'state/node.json'));
  await local.update((before) => ({ ...before!, highestSequence: 7 }));
  const refused = (): never => {
    throw new Error('refused');
  };
  await expect(local.update(refused)).rejects.toThrow('refused');
  expect(statSync(join(directory, 'state/node.json')).ino).toBe(written.ino);
});

it('removes what a killed process left beside it', async () => {
  const directory = freshDirectory();
  const local = openLocalState(directory);
  await local.update(() => state);
  const names = ['node.json.new', 'node.json.0190a3a0-0000-7000-8000-000000000009.new'];
  for (const name of names) writeFileSync(join(directory, 'state', name), '{');
  await local.update((before) => ({ ...before!, highestSequence: 8 }));
  expect(readdirSync(join(directory, 'state'))).toEqual(['node.json', 'node.lock']);
});

/** Says the count after each update; killed in its last one, with the lock held, where it is told so. */
const countingProgram = (directory: string, times: number, dies: boolean): string => `
  import { openLocalState } from ${JSON.stringify(join(import.meta.dirname, 'local-state.ts'))};
  const local = openLocalState(${JSON.stringify(directory)});
  for (let time = 1; time <= ${times}; time += 1) {
    let asked = 0;
    const { highestSequence } = await local.update((before) => {
      asked += 1;
      if (${dies} && time === ${times} && asked === 2) process.kill(process.pid, 'SIGKILL');
      return { ...before, highestSequence: before.highestSequence + 1 };
    });
    console.log(highestSequence);
  }`;

function startCounting(directory: string, times: number, dies = false): ChildProcess & { readonly counts: number[] } {
  const file = join(directory, `${times}-${dies}.ts`);
  writeFileSync(file, countingProgram(directory, times, dies));
  const child = spawn(process.execPath, [file], { cwd: import.meta.dirname, stdio: ['ignore', 'pipe', 'inherit'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  const counts: number[] = [];
  let text = '';
  child.stdout.on('data', (chunk: Buffer) => {
    text += chunk.toString();
    counts.splice(0, counts.length, ...text.split('\n').slice(0, -1).map(Number));
  });
  return Object.assign(child, { counts });
}

it('loses no update of many processes and of many in one, whenever some of them are killed', async () => {
  const directory = freshDirectory();
  const local = openLocalState(directory);
  await local.update(() => ({ ...state, highestSequence: 0 }));
  const whole = [20, 21, 22].map((times) => startCounting(directory, times));
  const dying = [5, 6].map((times) => startCounting(directory, times, true));
  const killed = startCounting(directory, 100_000);
  killed.stdout!.on('data', () => killed.counts.length >= 7 && killed.kill('SIGKILL'));
  const own = Array.from({ length: 10 }, async () => {
    const { highestSequence } = await local.update((before) => ({
      ...before!,
      highestSequence: before!.highestSequence + 1,
    }));
    return highestSequence;
  });

  const ended = async (child: ChildProcess): Promise<unknown> => await once(child, 'close');
  const ends = await Promise.all([...whole, ...dying, killed].map(ended));

  expect(ends).toEqual([...whole.map(() => [0, null]), ...dying.map(() => [null, 'SIGKILL']), [null, 'SIGKILL']]);
  const counts = [...whole, ...dying, killed].flatMap((child) => child.counts);
  counts.push(...(await Promise.all(own)));
  expect(dying.map((child) => child.counts.length)).toEqual([4, 5]);
  expect(killed.counts.length).toBeGreaterThanOrEqual(7);
  expect(new Set(counts).size).toBe(counts.length);
  const { highestSequence } = (await local.read())!;
  // The one that was killed from outside may have counted once more than it could say.
  expect([counts.length, counts.length + 1]).toContain(highestSequence);
});
