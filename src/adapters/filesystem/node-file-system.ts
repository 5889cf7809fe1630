import { constants, type Stats } from 'node:fs';
import { link, lstat, mkdir, open, readdir, rename, unlink, type FileHandle } from 'node:fs/promises';

import type { Entry, FileSystem, NewFile, OpenFile } from './file-system.ts';

const createFlags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
const readFlags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

export const nodeFileSystem: FileSystem = {
  makeDirectory: (path) => mkdir(path, { mode: 0o700 }),
  createFile: async (path) => newFile(await open(path, createFlags, 0o600)),
  openFile: async (path) => openedFile(await open(path, readFlags)),
  link: (existing, path) => link(existing, path),
  rename: (from, to) => rename(from, to),
  unlink: (path) => unlink(path),
  syncDirectory: async (path) => {
    const handle = await open(path, constants.O_RDONLY | constants.O_DIRECTORY);
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  },
  entry: async (path) => describe(await lstat(path)),
  names: (path) => readdir(path),
};

function newFile(handle: FileHandle): NewFile {
  return {
    write: (bytes) => handle.writeFile(bytes),
    sync: () => handle.sync(),
    close: () => handle.close(),
  };
}

function openedFile(handle: FileHandle): OpenFile {
  return {
    entry: async () => describe(await handle.stat()),
    read: (length) => readAll(handle, length),
    close: () => handle.close(),
  };
}

async function readAll(handle: FileHandle, length: number): Promise<Buffer> {
  const bytes = Buffer.allocUnsafe(length);
  let filled = 0;
  while (filled < length) {
    const { bytesRead } = await handle.read(bytes, filled, length - filled, filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return bytes.subarray(0, filled);
}

function describe(stats: Stats): Entry {
  const kind = stats.isFile() ? 'file' : stats.isDirectory() ? 'directory' : 'other';
  const version = `${stats.ino}-${stats.mtimeMs}-${stats.ctimeMs}`;
  return { kind, sizeBytes: stats.size, modifiedAt: stats.mtime, version };
}
