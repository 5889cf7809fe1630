import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import type { RememberedFailure } from '#ports/failure-memory.ts';
import { openFailureMemory } from './failure-memory.ts';

const failure: RememberedFailure = {
  clusterId: '0190a3a0-0000-7000-8000-000000000001',
  location: 'file:///backups',
  path: 'verifications/20261122T000000Z-k3f9q2.json',
  modifiedAt: '2026-11-22T00:00:05.000Z',
  verificationId: '20261122T000000Z-k3f9q2',
  backups: ['20261121T000000Z-k3f9q2'],
  level: 'all-chunks',
  at: '2026-11-22T00:00:00.000Z',
  readingMs: 5000,
  nodeId: '0190a3a0-0000-7000-8000-000000000002',
  passed: false,
  bad: ['aa'],
};

const later = (seconds: number): RememberedFailure => ({
  ...failure,
  path: `verifications/${seconds}.json`,
  modifiedAt: new Date(Date.parse(failure.modifiedAt) + seconds * 1000).toISOString(),
});

function freshDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'enclave-manager-failures-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

it('remembers each failure once, as it was first seen, beside others that add', async () => {
  const directory = freshDirectory();
  const memory = openFailureMemory(directory);
  expect(await memory.read()).toEqual([]);
  await Promise.all([memory.add([failure]), openFailureMemory(directory).add([later(2)]), memory.add([later(1)])]);
  await memory.add([{ ...failure, modifiedAt: '2027-01-01T00:00:00.000Z' }]);
  expect(await openFailureMemory(directory).read()).toEqual([failure, later(1), later(2)]);
  expect(readdirSync(join(directory, 'state'))).toEqual(['failures.json', 'failures.lock']);
  expect(statSync(join(directory, 'state/failures.json')).mode & 0o777).toBe(0o600);
});

it('tells the same verification of another cluster or place apart', async () => {
  const memory = openFailureMemory(freshDirectory());
  const elsewhere = { ...failure, location: 's3://bucket' };
  const other = { ...failure, clusterId: '0190a3a0-0000-7000-8000-000000000009' };
  await memory.add([failure, elsewhere, other]);
  expect(new Set(await memory.read())).toEqual(new Set([failure, elsewhere, other]));
});

it('forgets the oldest beyond its limits', async () => {
  const memory = openFailureMemory(freshDirectory());
  await memory.add(Array.from({ length: 1005 }, (_, index) => later(index)));
  const kept = await memory.read();
  expect(kept).toHaveLength(1000);
  expect([kept[0], kept.at(-1)]).toEqual([later(5), later(1004)]);
  const large = Array.from({ length: 150_000 }, (_, index) => `${index}`.padStart(80, '0'));
  await memory.add([
    { ...later(2000), bad: large },
    { ...later(2001), bad: large },
  ]);
  expect((await memory.read()).map(({ path }) => path)).toEqual(['verifications/2001.json']);
});

it.each(['', '{', '[{}]', JSON.stringify([{ ...failure, passed: 'no' }])])(
  'is damaged when it reads %j',
  async (text) => {
    const directory = freshDirectory();
    const memory = openFailureMemory(directory);
    await memory.add([failure]);
    writeFileSync(join(directory, 'state/failures.json'), text);
    const damaged = { code: 'damaged', message: expect.stringContaining('failures.json') as string };
    await expect(memory.read()).rejects.toMatchObject(damaged);
    await expect(memory.add([later(1)])).rejects.toMatchObject(damaged);
  },
);
