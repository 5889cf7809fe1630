import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { checkObjectKey, checkObjectPrefix } from '#ports/object-key.ts';
import type { ObjectStore, ObjectStoreConnection, StoredObject } from '#ports/object-store.ts';

import { requireDirectory } from './durable-directories.ts';
import { DurablePut } from './durable-put.ts';
import { failureCode, fileFailure, noDirectoryAt } from './failures.ts';
import type { Entry, FileSystem } from './file-system.ts';
import { listObjects } from './list-objects.ts';
import { nodeFileSystem } from './node-file-system.ts';

/**
 * An object store in a directory (mode 0700, files 0600), on any file system with fsync, several processes and hosts at once.
 * The directory is made by the first `put`. Inside it nothing but regular files and directories is followed.
 */
export class DirectoryStore implements ObjectStore {
  readonly location: string;
  readonly connection: ObjectStoreConnection;
  readonly #files: FileSystem;
  readonly #root: string;
  readonly #writer: DurablePut;

  constructor(path: string, files: FileSystem = nodeFileSystem) {
    this.#root = resolve(path);
    this.location = pathToFileURL(this.#root).href;
    this.connection = { kind: 'directory', path: this.#root };
    this.#files = files;
    this.#writer = new DurablePut(files, this.#root);
  }

  async put(key: string, body: Uint8Array): Promise<'created' | 'exists'> {
    checkObjectKey(key);
    return await this.#writer.put(key, body);
  }

  async get(key: string, limit: { readonly maxBytes: number }): Promise<Buffer | undefined> {
    const path = await this.#locate(key);
    return await this.#absentAsUndefined('read', path, () => this.#read(path, limit.maxBytes));
  }

  async head(key: string): Promise<StoredObject | undefined> {
    const path = await this.#locate(key);
    const entry = await this.#absentAsUndefined('look at', path, () => this.#files.entry(path));
    return entry && { key, sizeBytes: requireFile(path, entry).sizeBytes, modifiedAt: entry.modifiedAt };
  }

  list(prefix: string): AsyncIterable<StoredObject> {
    checkObjectPrefix(prefix);
    return listObjects(this.#files, this.#root, prefix);
  }

  async delete(key: string): Promise<void> {
    const path = await this.#locate(key);
    await this.#absentAsUndefined('delete', path, async () => {
      await this.#files.unlink(path);
      await this.#files.syncDirectory(join(path, '..'));
    });
  }

  async retain(key: string): Promise<boolean> {
    checkObjectKey(key);
    return true;
  }

  async close(): Promise<void> {
    // Nothing stays open between calls.
  }

  async #read(path: string, maxBytes: number): Promise<Buffer> {
    const file = await this.#files.openFile(path);
    try {
      const { sizeBytes } = requireFile(path, await file.entry());
      if (sizeBytes > maxBytes) {
        throw new EnclaveManagerError(
          'damaged',
          `${path} has ${sizeBytes} bytes where at most ${maxBytes} were expected`,
        );
      }
      const bytes = await file.read(sizeBytes);
      if (bytes.length === sizeBytes) return bytes;
      throw new EnclaveManagerError('damaged', `${path} became shorter while it was read`);
    } finally {
      await file.close();
    }
  }

  /** The path of a key, after every directory on the way to it was seen not to be a symbolic link. */
  async #locate(key: string): Promise<string> {
    checkObjectKey(key);
    let path = this.#root;
    for (const segment of key.split('/').slice(0, -1)) {
      path = join(path, segment);
      const directory = path;
      await this.#absentAsUndefined('look at', directory, () => requireDirectory(this.#files, directory));
    }
    return join(this.#root, key);
  }

  /** What lies on the way was seen to be directories: it is the root, or something above it, that is none. */
  async #absentAsUndefined<T>(action: string, path: string, work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work();
    } catch (error) {
      const code = failureCode(error);
      if (code === 'ENOENT') return undefined;
      if (code === 'ENOTDIR') throw noDirectoryAt(this.#root, error);
      if (code === 'ELOOP') throw new EnclaveManagerError('damaged', `${path} is not a regular file`, { cause: error });
      throw fileFailure(action, path, error);
    }
  }
}

function requireFile(path: string, entry: Entry): Entry {
  if (entry.kind === 'file') return entry;
  throw new EnclaveManagerError('damaged', `${path} is not a regular file`);
}
