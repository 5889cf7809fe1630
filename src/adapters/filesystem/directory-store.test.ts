import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { objectStoreContract } from '#ports/object-store.contract.ts';

import { DirectoryStore } from './directory-store.ts';
import type { FileSystem } from './file-system.ts';
import { nodeFileSystem } from './node-file-system.ts';

const limit = { maxBytes: 1024 * 1024 };

function failing(call: keyof FileSystem, code: string): FileSystem {
  const fail = async (): Promise<never> => {
    throw Object.assign(new Error(`${code}: made by a test`), { code });
  };
  return { ...nodeFileSystem, [call]: fail };
}

async function emptyDirectory(files: FileSystem): Promise<{ open(): DirectoryStore; remove(): Promise<void> }> {
  const base = await mkdtemp(join(tmpdir(), 'enclave-manager-store-'));
  return {
    open: () => new DirectoryStore(join(base, 'repository'), files),
    remove: () => rm(base, { recursive: true }),
  };
}

async function failedPut(call: keyof FileSystem, code: string): Promise<unknown> {
  const place = await emptyDirectory(failing(call, code));
  const error: unknown = await place
    .open()
    .put('chunks/ab/x', Buffer.from('1'))
    .catch((thrown: unknown) => thrown);
  await place.remove().catch(() => undefined);
  return error;
}

objectStoreContract('a directory', () => emptyDirectory(nodeFileSystem));
objectStoreContract('a directory on a file system without hard links', () => emptyDirectory(failing('link', 'EPERM')));

describe('a directory store', () => {
  let base: string;
  let root: string;
  let store: DirectoryStore;

  beforeEach(async () => {
    base = await mkdtemp(join(tmpdir(), 'enclave-manager-store-'));
    root = join(base, 'deep/er/repository');
    store = new DirectoryStore(root);
  });

  afterEach(async () => {
    await rm(base, { recursive: true });
  });

  const listed = async (prefix = ''): Promise<string[]> => {
    const keys: string[] = [];
    for await (const { key } of store.list(prefix)) keys.push(key);
    return keys;
  };

  it('makes directories of mode 0700 and files of mode 0600, whatever the umask', async () => {
    const before = process.umask(0);
    try {
      await store.put('chunks/ab/x', Buffer.from('x'));
    } finally {
      process.umask(before);
    }
    const modes = ['', 'chunks', 'chunks/ab', '.tmp', 'chunks/ab/x'].map(
      async (path) => (await stat(join(root, path))).mode & 0o777,
    );
    expect(await Promise.all(modes)).toEqual([0o700, 0o700, 0o700, 0o700, 0o600]);
  });

  it('makes nothing before the first put', async () => {
    await store.get('a', limit);
    await store.head('a/b');
    await store.delete('a/b');
    expect(await listed()).toEqual([]);
    expect(await readdir(base)).toEqual([]);
  });

  it('leaves no temporary file behind, neither after created nor after exists', async () => {
    await store.put('a', Buffer.from('1'));
    await store.put('a', Buffer.from('2'));
    expect(await readdir(join(root, '.tmp'))).toEqual([]);
  });

  it('shows neither temporary files nor foreign things that no key can name', async () => {
    await store.put('a', Buffer.from('1'));
    await writeFile(join(root, '.tmp/left-over'), 'x');
    await writeFile(join(root, '.DS_Store'), 'x');
    await writeFile(join(root, 'with space'), 'x');
    expect(await listed()).toEqual(['a']);
  });

  it('removes temporary files that are more than an hour older than the file system says it is now', async () => {
    await mkdir(join(root, '.tmp'), { recursive: true });
    for (const [name, ageMinutes] of [
      ['old.object', 61],
      ['recent.object', 59],
      ['future.object', -120],
    ] as const) {
      await writeFile(join(root, '.tmp', name), 'x');
      const time = new Date(Date.now() - ageMinutes * 60_000);
      await utimes(join(root, '.tmp', name), time, time);
    }
    await store.put('a', Buffer.from('1'));
    expect((await readdir(join(root, '.tmp'))).toSorted()).toEqual(['future.object', 'recent.object']);
  });

  it('keeps working when somebody removes its directories', async () => {
    await store.put('chunks/ab/x', Buffer.from('1'));
    await rm(root, { recursive: true });
    expect(await store.put('chunks/ab/y', Buffer.from('2'))).toBe('created');
    expect(await listed()).toEqual(['chunks/ab/y']);
  });

  it('follows no symbolic link to a file and says so', async () => {
    await writeFile(join(base, 'outside'), 'secret');
    await store.put('chunks/ab/x', Buffer.from('1'));
    await symlink(join(base, 'outside'), join(root, 'chunks/ab/y'));
    await expect(store.get('chunks/ab/y', limit)).rejects.toMatchObject({ code: 'damaged' });
    await expect(store.head('chunks/ab/y')).rejects.toMatchObject({ code: 'damaged' });
    await expect(store.put('chunks/ab/y', Buffer.from('2'))).rejects.toMatchObject({ code: 'damaged' });
    expect(await listed()).toEqual(['chunks/ab/x']);
    expect(await readFile(join(base, 'outside'), 'utf8')).toBe('secret');
  });

  it('follows no symbolic link to a directory, for reading, writing, listing or deleting', async () => {
    await mkdir(join(base, 'outside'));
    await writeFile(join(base, 'outside/x'), 'secret');
    await store.put('a', Buffer.from('1'));
    await symlink(join(base, 'outside'), join(root, 'chunks'));
    await expect(store.get('chunks/x', limit)).rejects.toMatchObject({ code: 'configuration' });
    await expect(store.put('chunks/y', Buffer.from('2'))).rejects.toMatchObject({ code: 'configuration' });
    await expect(store.delete('chunks/x')).rejects.toMatchObject({ code: 'configuration' });
    expect(await listed()).toEqual(['a']);
    expect(await listed('chunks/')).toEqual([]);
    expect(await readdir(join(base, 'outside'))).toEqual(['x']);
  });

  it('follows no symbolic link that took the place of a directory after the first put', async () => {
    await mkdir(join(base, 'outside'));
    await store.put('chunks/ab/x', Buffer.from('1'));
    for (const name of ['chunks/ab', 'chunks', '.tmp']) {
      await rm(join(root, name), { recursive: true, force: true });
      await symlink(join(base, 'outside'), join(root, name));
      await expect(store.put('chunks/ab/y', Buffer.from('2'))).rejects.toMatchObject({ code: 'configuration' });
      await rm(join(root, name));
      expect(await store.put(`chunks/ab/after${name}`, Buffer.from('2'))).toBe('created');
    }
    expect(await readdir(join(base, 'outside'))).toEqual([]);
  });

  it('does not take a directory for an object', async () => {
    await store.put('chunks/ab/x', Buffer.from('1'));
    await expect(store.get('chunks/ab', limit)).rejects.toMatchObject({ code: 'damaged' });
    await expect(store.put('chunks/ab', Buffer.from('2'))).rejects.toMatchObject({ code: 'damaged' });
  });

  it('accepts a root that is itself a symbolic link, because the operator chose it', async () => {
    await mkdir(join(base, 'disk'));
    await symlink(join(base, 'disk'), join(base, 'link'));
    store = new DirectoryStore(join(base, 'link'));
    expect(await store.put('chunks/ab/x', Buffer.from('1'))).toBe('created');
    expect(await listed()).toEqual(['chunks/ab/x']);
    expect(await readdir(join(base, 'disk/chunks/ab'))).toEqual(['x']);
  });

  it('names the file that stands where its directory should be', async () => {
    await writeFile(join(base, 'file'), 'x');
    const misplaced = new DirectoryStore(join(base, 'file/repository'));
    const message = expect.stringContaining(join(base, 'file/repository')) as string;
    await expect(misplaced.put('a', Buffer.from('1'))).rejects.toMatchObject({ code: 'configuration', message });
  });

  it.each(['file', 'file/repository', 'link-to-file'])(
    'is no empty repository where %s should be one',
    async (name) => {
      await writeFile(join(base, 'file'), 'x');
      await symlink(join(base, 'file'), join(base, 'link-to-file'));
      const misplaced = new DirectoryStore(join(base, name));
      const list = async (prefix: string): Promise<void> => {
        for await (const { key } of misplaced.list(prefix)) expect(key).toBeUndefined();
      };
      const refusal = { code: 'configuration', message: expect.stringContaining(join(base, name)) as string };
      await expect(list('')).rejects.toMatchObject(refusal);
      await expect(list('keyring/epochs/')).rejects.toMatchObject(refusal);
      await expect(misplaced.get('a', limit)).rejects.toMatchObject(refusal);
      await expect(misplaced.get('a/b', limit)).rejects.toMatchObject(refusal);
      await expect(misplaced.head('a/b')).rejects.toMatchObject(refusal);
      await expect(misplaced.delete('a/b')).rejects.toMatchObject(refusal);
      await expect(misplaced.put('a/b', Buffer.from('1'))).rejects.toMatchObject({ code: 'configuration' });
    },
  );

  it('names its place as a file URL', () => {
    expect(new DirectoryStore('/srv/with space').location).toBe('file:///srv/with%20space');
    expect(store.connection).toEqual({ kind: 'directory', path: root });
  });
});

describe('a directory store on a failing file system', () => {
  it.each([
    ['createFile', 'ENOSPC', 'no-space'],
    ['createFile', 'EDQUOT', 'no-space'],
    ['makeDirectory', 'ENOSPC', 'no-space'],
    ['link', 'ENOSPC', 'no-space'],
    ['makeDirectory', 'EACCES', 'configuration'],
    ['createFile', 'EROFS', 'configuration'],
    ['syncDirectory', 'EIO', 'repository-unreachable'],
    ['createFile', 'ESTALE', 'repository-unreachable'],
    ['link', 'EIO', 'repository-unreachable'],
  ] as const)('turns %s failing with %s into %s, naming path and cause', async (call, code, expected) => {
    expect(await failedPut(call, code)).toMatchObject({
      code: expected,
      message: expect.stringMatching(`/repository|${code}`) as string,
    });
  });

  it('says of a file system that is mounted read-only that it is, not that this user may not', async () => {
    expect(await failedPut('createFile', 'EROFS')).toMatchObject({
      message: expect.stringMatching(/cannot .*: its file system is mounted read-only/) as string,
      hint: expect.stringContaining('Mount it for writing') as string,
    });
  });

  it('leaves nothing that is listed when the disk is full', async () => {
    const place = await emptyDirectory(nodeFileSystem);
    const full: FileSystem = {
      ...nodeFileSystem,
      createFile: async (path) => {
        const file = await nodeFileSystem.createFile(path);
        return {
          ...file,
          write: async () => {
            throw Object.assign(new Error('full'), { code: 'ENOSPC' });
          },
        };
      },
    };
    const { path } = place.open().connection as { path: string };
    await expect(new DirectoryStore(path, full).put('chunks/ab/x', Buffer.from('1'))).rejects.toMatchObject({
      code: 'no-space',
    });
    expect(await readdir(join(path, 'chunks/ab'))).toEqual([]);
    expect(await readdir(join(path, '.tmp'))).toEqual([]);
    await place.remove();
  });
});
