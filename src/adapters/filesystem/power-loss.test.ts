import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { DirectoryStore } from './directory-store.ts';
import type { FileSystem } from './file-system.ts';
import { type Fate, PowerLossFileSystem } from './power-loss.ts';

const root = '/srv/repository';
const keys = ['enclave-manager.json', 'chunks/ab/one', 'chunks/ab/two', 'chunks/cd/three', 'backups/four.json'];
const bodyOf = (key: string, writer: number): string => `the whole content of ${key} by writer ${writer}`;
const fates: readonly Fate[] = ['kept', 'lost', 'torn'];

interface Run {
  readonly disk: PowerLossFileSystem;
  /** How many operations had been recorded when the put of a key resolved. */
  readonly resolvedAt: Map<string, number>;
}

async function preparedDisk(): Promise<PowerLossFileSystem> {
  const disk = new PowerLossFileSystem();
  await disk.makeDirectory('/srv');
  await disk.syncDirectory('/');
  return disk;
}

/** Two processes put the same keys; `concurrently`, all at once. */
async function run(files: (disk: PowerLossFileSystem) => FileSystem, concurrently: boolean): Promise<Run> {
  const disk = await preparedDisk();
  const stores = [new DirectoryStore(root, files(disk)), new DirectoryStore(root, files(disk))];
  const resolvedAt = new Map<string, number>();
  const puts = stores.flatMap((store, writer) =>
    keys.map((key) => async () => {
      await store.put(key, Buffer.from(bodyOf(key, writer)));
      resolvedAt.set(key, Math.min(resolvedAt.get(key) ?? Infinity, disk.operations.length));
    }),
  );
  if (concurrently) await Promise.all(puts.map((put) => put()));
  else for (const put of puts) await put();
  return { disk, resolvedAt };
}

/** Every promise of the store that a power failure after `count` operations breaks. */
function broken({ disk, resolvedAt }: Run, count: number, fate: (operation: number) => Fate): string[] {
  const surviving = disk.survivors(count, fate);
  return keys.flatMap((key) => {
    const content = surviving.get(`${root}/${key}`)?.toString();
    if (content === undefined) return resolvedAt.get(key)! <= count ? [`${key} was put and is gone`] : [];
    return content === bodyOf(key, 0) || content === bodyOf(key, 1) ? [] : [`${key} is there in part`];
  });
}

function everyBreach(recorded: Run): string[] {
  const counts = recorded.disk.operations.map((_, index) => index + 1);
  return [...new Set(counts.flatMap((count) => fates.flatMap((fate) => broken(recorded, count, () => fate))))];
}

const whole = (disk: PowerLossFileSystem): FileSystem => disk;

function without(call: 'link' | 'syncDirectory' | 'sync'): (disk: PowerLossFileSystem) => FileSystem {
  return (disk) => ({
    makeDirectory: (path) => disk.makeDirectory(path),
    createFile: async (path) => {
      const file = await disk.createFile(path);
      return call === 'sync' ? { ...file, sync: async () => undefined } : file;
    },
    openFile: (path) => disk.openFile(path),
    link: async (existing, path) => {
      if (call === 'link') throw Object.assign(new Error('no links'), { code: 'EPERM' });
      await disk.link(existing, path);
    },
    rename: (from, to) => disk.rename(from, to),
    unlink: (path) => disk.unlink(path),
    syncDirectory: async (path) => {
      if (call !== 'syncDirectory') await disk.syncDirectory(path);
    },
    entry: (path) => disk.entry(path),
    names: (path) => disk.names(path),
  });
}

describe.each([
  ['with hard links', whole],
  ['without hard links', without('link')],
] as const)('a power failure at any moment, on a file system %s', (_, files) => {
  it.each([false, true])(
    'leaves every object whole and every resolved put in place (concurrent: %s)',
    async (concurrently) => {
      const recorded = await run(files, concurrently);
      expect(recorded.resolvedAt.size).toBe(keys.length);
      expect(everyBreach(recorded)).toEqual([]);
    },
  );

  it('does so whichever of the unsynced changes reached the disk', async () => {
    const runs = [await run(files, false), await run(files, true)];
    const operations = Math.max(...runs.map(({ disk }) => disk.operations.length));
    fc.assert(
      fc.property(
        fc.constantFrom(...runs),
        fc.nat({ max: operations }),
        fc.array(fc.constantFrom(...fates), { minLength: operations, maxLength: operations }),
        (recorded, count, chosen) => {
          expect(broken(recorded, count, (operation) => chosen[operation]!)).toEqual([]);
        },
      ),
      { numRuns: 500 },
    );
  });
});

describe('the proof itself', () => {
  it('notices a store that does not sync files', async () => {
    const breaches = everyBreach(await run(without('sync'), false));
    expect(breaches).toContain('chunks/ab/one is there in part');
  });

  it('notices a store that does not sync directories', async () => {
    const breaches = everyBreach(await run(without('syncDirectory'), false));
    expect(breaches).toContain('chunks/ab/one was put and is gone');
    expect(breaches).toContain('enclave-manager.json was put and is gone');
  });

  it('records the order write, fsync, link, fsync directory for one object', async () => {
    const disk = await preparedDisk();
    const store = new DirectoryStore(root, disk);
    await store.put('chunks/ab/one', Buffer.from('1'));
    const begin = disk.operations.length;
    await store.put('chunks/ab/two', Buffer.from('2'));
    const steps = disk.operations
      .slice(begin)
      .map((operation) =>
        operation.kind === 'name' ? (operation.node === undefined ? 'unlink' : 'link') : operation.kind,
      );
    expect(steps).toEqual(['link', 'write', 'sync-file', 'link', 'sync-directory', 'unlink']);
  });
});
